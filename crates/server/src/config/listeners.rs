//! `http`, `admin` and `auth`: where the server listens, and how it knows who is asking.

use super::quantity::Size;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// `http`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Longest request body as it is sent.
    pub body_max: Size,
    /// Longest request body once it is decompressed; also the most that the labels of one of remote write 2.0 may take when they
    /// are written out.
    pub decoded_max: Size,
}

/// `admin`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port.
    pub listen: SocketAddr,
}

/// `auth`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// How the tenant of a request is found.
    pub mode: AuthMode,
    /// Allows `mode: none` on an address that others can reach.
    pub insecure_bind: bool,
}

/// `auth.mode`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// One tenant, `anonymous`; whoever reaches the port may do everything.
    #[default]
    None,
    /// A trusted gateway sets `X-Scope-OrgID`.
    Header,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9009)),
            body_max: Size::from_bytes(16 << 20),
            decoded_max: Size::from_bytes(32 << 20),
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9010)) }
    }
}
