//! Which of several replicas of a sender is listened to: the one that was heard first, until it falls silent (Mimir's way
//! with pairs). What the others send is dropped, so that it is ingested once.
//!
//! Elections are in memory: after a start the first replica that is heard is elected. They are this server's alone: both
//! replicas must send to it.

use longhaul_model::TenantId;
use std::collections::HashMap;

/// A cluster that nobody has sent for since so long makes room for others, ms.
pub(super) const IDLE_MS: i64 = 3_600_000;

/// How a tenant's replicas are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElectionSettings {
    /// The label that names what the replicas have in common.
    pub cluster_label: String,
    /// The label that tells them apart; the series of the elected one are stored without it.
    pub replica_label: String,
    /// Another replica is elected once the elected one has not been heard for longer than this, ms.
    pub failover_timeout_ms: i64,
    /// Clusters of a tenant; each is remembered.
    pub clusters_max: usize,
}

/// What becomes of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vote {
    /// Its replica is the elected one.
    Elected,
    /// Another one is.
    NotElected,
    /// The tenant has too many clusters.
    TooMany,
}

/// The replica that is listened to.
#[derive(Debug)]
struct Elected {
    replica: String,
    heard_ms: i64,
}

/// Who is elected, of all tenants.
#[derive(Debug, Default)]
pub(super) struct Elections {
    tenants: HashMap<TenantId, HashMap<String, Elected>>,
}

impl Elections {
    /// Hears a replica at `now_ms`.
    pub fn hear(
        &mut self,
        tenant: &TenantId,
        cluster: &str,
        replica: &str,
        now_ms: i64,
        settings: &ElectionSettings,
    ) -> Vote {
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.clone(), HashMap::new());
        }
        let clusters = self.tenants.get_mut(tenant).expect("just put there");
        if let Some(elected) = clusters.get_mut(cluster) {
            if elected.replica != replica {
                if now_ms.saturating_sub(elected.heard_ms) <= settings.failover_timeout_ms {
                    return Vote::NotElected;
                }
                tracing::info!(%tenant, cluster, from = elected.replica, to = replica, "another replica is elected");
                replica.clone_into(&mut elected.replica);
            }
            elected.heard_ms = elected.heard_ms.max(now_ms);
            return Vote::Elected;
        }
        if clusters.len() >= settings.clusters_max {
            clusters.retain(|_, elected| now_ms.saturating_sub(elected.heard_ms) < IDLE_MS);
        }
        if clusters.len() >= settings.clusters_max {
            return Vote::TooMany;
        }
        clusters.insert(cluster.to_owned(), Elected { replica: replica.to_owned(), heard_ms: now_ms });
        Vote::Elected
    }
}
