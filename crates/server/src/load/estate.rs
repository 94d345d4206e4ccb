//! A Kubernetes estate as its Prometheus sees it: pods of many namespaces, each with the 49 series that the application,
//! cAdvisor, kube-state-metrics and a share of its node's exporter give it, about 15 labels a series.
//!
//! A pod has 8 series of `http_requests_total` and 12 of `http_request_duration_seconds_bucket`: in an estate of 50,029
//! series (1,021 pods) that makes the 8,168 and 12,252 series that the project's query figures are measured on.

use super::value::{Shape, hash, unit};
use longhaul_model::LabelSection;

/// Series of a pod.
pub const SERIES_PER_POD: u32 = 49;

/// Upper bounds of the latency histogram, and the share of requests at or below each for a pod of middling speed.
const BUCKETS: [(&str, f32); 12] = [
    ("0.005", 0.10),
    ("0.01", 0.24),
    ("0.025", 0.45),
    ("0.05", 0.62),
    ("0.1", 0.76),
    ("0.25", 0.88),
    ("0.5", 0.94),
    ("1", 0.97),
    ("2.5", 0.988),
    ("5", 0.995),
    ("10", 0.999),
    ("+Inf", 1.0),
];

/// Method, code, and their share of the pod's requests.
const REQUESTS: [(&str, &str, f32); 8] = [
    ("GET", "200", 0.71),
    ("GET", "304", 0.12),
    ("GET", "404", 0.015),
    ("GET", "500", 0.001),
    ("POST", "200", 0.09),
    ("POST", "201", 0.06),
    ("POST", "400", 0.003),
    ("POST", "500", 0.001),
];

const CPU_MODES: [&str; 8] = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"];
const CPU_SHARES: [f32; 8] = [0.62, 0.01, 0.0, 0.002, 0.01, 0.003, 0.075, 0.28];
/// 16 pods a node with four series of its exporter each: eight CPUs of eight modes.
const PODS_PER_NODE: u32 = 16;

const NAMESPACES: [&str; 24] = [
    "checkout",
    "payments",
    "catalog",
    "search",
    "identity",
    "frontend",
    "orders",
    "inventory",
    "shipping",
    "pricing",
    "recommendations",
    "notifications",
    "analytics",
    "billing",
    "media",
    "support",
    "experiments",
    "gateway",
    "kube-system",
    "monitoring",
    "logging",
    "ingress-nginx",
    "cert-manager",
    "data-platform",
];
const DEPLOYMENTS: [&str; 12] = [
    "api",
    "worker",
    "web",
    "consumer",
    "scheduler",
    "cache",
    "proxy",
    "indexer",
    "exporter",
    "backend",
    "sync",
    "mailer",
];

/// Who exposes a series, and so which labels it carries.
#[derive(Clone, Copy)]
enum Exposer {
    Application,
    Cadvisor,
    KubeState,
    Node,
}

/// A series: where its label section lies, and how its values move.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its number in the whole estate.
    pub number: u32,
    /// Its pod's number.
    pub pod: u32,
    /// How its values move.
    pub shape: Shape,
    section_end: usize,
}

/// Those pods of an estate that fall to one connection.
#[derive(Debug, Default)]
pub struct Estate {
    series: Vec<Series>,
    sections: Vec<u8>,
}

impl Estate {
    /// The share of connection `index` of `connections` in an estate of `series_total` series: every n-th pod. The last
    /// pod may be cut short.
    pub fn new(seed: u64, series_total: u32, index: u32, connections: u32) -> Self {
        let mut estate = Self::default();
        for number in (index..series_total.div_ceil(SERIES_PER_POD)).step_by(connections as usize) {
            let first = number * SERIES_PER_POD;
            let pod = Pod::new(seed, number);
            pod.series(&mut |exposer, name, labels, shape| {
                let number = first + (estate.series.len() as u32 % SERIES_PER_POD);
                if number < series_total {
                    pod.write_section(&mut estate.sections, exposer, name, labels);
                    estate.series.push(Series { number, pod: pod.number, shape, section_end: estate.sections.len() });
                }
            });
        }
        estate
    }

    /// All series with their label sections, target by target.
    pub fn iter(&self) -> impl Iterator<Item = (&Series, LabelSection<'_>)> {
        let mut start = 0;
        self.series.iter().map(move |series| {
            let section = LabelSection::new(&self.sections[start..series.section_end]);
            start = series.section_end;
            (series, section)
        })
    }
}

/// A pod and what its labels need.
struct Pod {
    number: u32,
    seed: u64,
    namespace: &'static str,
    deployment: &'static str,
    name: String,
    uid: String,
    container_id: String,
    node: String,
    node_ip: String,
    pod_ip: String,
    /// How busy it is: 1/32 to 32, most of them quiet.
    scale: f32,
}

impl Pod {
    fn new(seed: u64, number: u32) -> Self {
        let draw = |what: u64| hash(seed ^ 0x706f_6473, u64::from(number), what);
        // The first namespaces are the large ones.
        let namespace = NAMESPACES[(unit(draw(1)).powi(2) * NAMESPACES.len() as f64) as usize];
        let deployment = DEPLOYMENTS[draw(2) as usize % DEPLOYMENTS.len()];
        let node_number = number / PODS_PER_NODE;
        let uid = format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            draw(3) as u32,
            draw(4) as u16,
            draw(5) & 0xfff,
            draw(6) & 0xfff,
            draw(7) & 0xffff_ffff_ffff
        );
        Self {
            number,
            seed,
            namespace,
            deployment,
            name: format!("{namespace}-{deployment}-{}-{}", word(draw(8), 10), word(draw(9), 5)),
            uid,
            container_id: format!("{:016x}{:016x}{:016x}{:016x}", draw(10), draw(11), draw(12), draw(13)),
            node: format!(
                "ip-10-{}-{}-{}.eu-central-1.compute.internal",
                64 + node_number / 65_536,
                node_number / 256 % 256,
                node_number % 256
            ),
            node_ip: format!("10.{}.{}.{}", 64 + node_number / 65_536, node_number / 256 % 256, node_number % 256),
            pod_ip: format!("10.{}.{}.{}", 128 + number / 65_536, number / 256 % 256, number % 256),
            scale: 2f32.powf(unit(draw(14)) as f32 * 10.0 - 5.0),
        }
    }

    /// All 49 series, in the order in which the targets expose them.
    fn series(&self, emit: &mut impl FnMut(Exposer, &str, &[(&str, &str)], Shape)) {
        self.application(emit);
        self.cadvisor(emit);
        self.kube_state(emit);
        self.node(emit);
    }

    fn application(&self, emit: &mut impl FnMut(Exposer, &str, &[(&str, &str)], Shape)) {
        let mut emit = |name: &str, labels: &[(&str, &str)], shape| emit(Exposer::Application, name, labels, shape);
        let per_second = 2.0 * self.scale;
        let handler = ["/api/v1/items", "/api/v1/users/:id", "/graphql", "/internal/sync"][self.number as usize % 4];
        for (method, code, share) in REQUESTS {
            let shape = Shape::Counter { per_second: per_second * share, scale: 1.0 };
            emit("http_requests_total", &[("code", code), ("handler", handler), ("method", method)], shape);
        }
        // A slow pod has fewer requests under each bound.
        let slowness = 0.5 + 2.0 * unit(hash(self.seed, u64::from(self.number), 15)) as f32;
        for (le, share) in BUCKETS {
            let shape = Shape::Bucket { per_second, share: share.powf(slowness) };
            emit("http_request_duration_seconds_bucket", &[("handler", handler), ("le", le)], shape);
        }
        let mean_s = 0.06 * slowness;
        let sum = Shape::Counter { per_second: per_second * mean_s, scale: 1e6 };
        emit("http_request_duration_seconds_sum", &[("handler", handler)], sum);
        emit("http_request_duration_seconds_count", &[("handler", handler)], Shape::Bucket { per_second, share: 1.0 });
        emit("up", &[], Shape::Constant(1.0));
        emit("go_goroutines", &[], Shape::Gauge { mean: 40.0 + 10.0 * self.scale, swing: 6.0, quantum: 1.0 });
        let resident = Shape::Gauge { mean: 80e6 + 8e6 * self.scale, swing: 1e6, quantum: 4096.0 };
        emit("process_resident_memory_bytes", &[], resident);
        emit("process_cpu_seconds_total", &[], Shape::Counter { per_second: 0.01 * self.scale, scale: 100.0 });
    }

    fn cadvisor(&self, emit: &mut impl FnMut(Exposer, &str, &[(&str, &str)], Shape)) {
        let mut emit = |name: &str, labels: &[(&str, &str)], shape| emit(Exposer::Cadvisor, name, labels, shape);
        let counter = |per_second: f32| Shape::Counter { per_second: per_second * self.scale, scale: 1.0 };
        let memory = |mean: f32| Shape::Gauge { mean: mean + 8e6 * self.scale, swing: 6e5, quantum: 4096.0 };
        let cpu = Shape::Counter { per_second: 0.012 * self.scale, scale: 1e6 };
        emit("container_cpu_usage_seconds_total", &[("cpu", "total")], cpu);
        emit("container_cpu_cfs_periods_total", &[], Shape::Counter { per_second: 5.0, scale: 1.0 });
        emit("container_cpu_cfs_throttled_periods_total", &[], counter(0.01));
        emit("container_memory_working_set_bytes", &[], memory(96e6));
        emit("container_memory_rss", &[], memory(80e6));
        emit("container_memory_cache", &[], memory(12e6));
        emit("container_memory_usage_bytes", &[], memory(110e6));
        emit("container_network_receive_bytes_total", &[("interface", "eth0")], counter(3_000.0));
        emit("container_network_transmit_bytes_total", &[("interface", "eth0")], counter(9_000.0));
        emit(
            "container_fs_reads_bytes_total",
            &[("device", "/dev/nvme0n1")],
            Shape::Counter { per_second: 0.0, scale: 1.0 },
        );
        emit("container_fs_writes_bytes_total", &[("device", "/dev/nvme0n1")], counter(40.0));
        emit("container_threads", &[], Shape::Gauge { mean: 14.0 + self.scale, swing: 0.8, quantum: 1.0 });
        let started = 1.7e9 + f64::from(self.number) * 977.0;
        emit("container_start_time_seconds", &[], Shape::Constant(started));
    }

    fn kube_state(&self, emit: &mut impl FnMut(Exposer, &str, &[(&str, &str)], Shape)) {
        let mut emit = |name: &str, labels: &[(&str, &str)], value| {
            emit(Exposer::KubeState, name, labels, Shape::Constant(value));
        };
        let owner = self.name.rsplit_once('-').map_or("", |(replica_set, _)| replica_set);
        let info = [
            ("created_by_kind", "ReplicaSet"),
            ("created_by_name", owner),
            ("host_ip", &self.node_ip),
            ("pod_ip", &self.pod_ip),
        ];
        emit("kube_pod_info", &info, 1.0);
        emit("kube_pod_status_ready", &[("condition", "true")], 1.0);
        emit("kube_pod_status_phase", &[("phase", "Running")], 1.0);
        emit("kube_pod_container_status_restarts_total", &[("container", self.deployment)], f64::from(self.number % 4));
        let requests = [("container", self.deployment), ("resource", "cpu"), ("unit", "core")];
        emit("kube_pod_container_resource_requests", &requests, 0.25);
        let limits = [("container", self.deployment), ("resource", "memory"), ("unit", "byte")];
        emit("kube_pod_container_resource_limits", &limits, 536_870_912.0);
    }

    fn node(&self, emit: &mut impl FnMut(Exposer, &str, &[(&str, &str)], Shape)) {
        let place = self.number % PODS_PER_NODE;
        let cpu = (place / 2).to_string();
        for mode in (0..4).map(|mode| (mode + 4 * (place % 2)) as usize) {
            let shape = Shape::Counter { per_second: CPU_SHARES[mode], scale: 100.0 };
            emit(Exposer::Node, "node_cpu_seconds_total", &[("cpu", &cpu), ("mode", CPU_MODES[mode])], shape);
        }
    }

    fn write_section(&self, out: &mut Vec<u8>, exposer: Exposer, name: &str, labels: &[(&str, &str)]) {
        let (id, image, instance);
        let mut pairs: Vec<(&str, &str)> = vec![
            ("__name__", name),
            ("cluster", "prod-eu-central-1"),
            ("environment", "production"),
            ("prometheus", "monitoring/k8s"),
            ("region", "eu-central-1"),
        ];
        pairs.extend_from_slice(labels);
        match exposer {
            Exposer::Application => {
                instance = format!("{}:8080", self.pod_ip);
                pairs.extend([
                    ("app", self.deployment),
                    ("container", self.deployment),
                    ("endpoint", "http-metrics"),
                    ("instance", &instance),
                    ("job", self.deployment),
                    ("namespace", self.namespace),
                    ("pod", &self.name),
                ]);
            }
            Exposer::Cadvisor => {
                id = format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{}.scope",
                    self.uid.replace('-', "_"),
                    self.container_id
                );
                image =
                    format!("registry.example.com/{}/{}:v1.{}.0", self.namespace, self.deployment, self.number % 40);
                instance = format!("{}:10250", self.node_ip);
                pairs.extend([
                    ("container", self.deployment),
                    ("id", &id),
                    ("image", &image),
                    ("instance", &instance),
                    ("job", "kubelet"),
                    ("metrics_path", "/metrics/cadvisor"),
                    ("name", &self.container_id),
                    ("namespace", self.namespace),
                    ("node", &self.node),
                    ("pod", &self.name),
                ]);
            }
            Exposer::KubeState => pairs.extend([
                ("instance", "10.128.0.17:8443"),
                ("job", "kube-state-metrics"),
                ("namespace", self.namespace),
                ("node", &self.node),
                ("pod", &self.name),
                ("uid", &self.uid),
            ]),
            Exposer::Node => {
                instance = format!("{}:9100", self.node_ip);
                pairs.extend([
                    ("container", "node-exporter"),
                    ("endpoint", "https"),
                    ("instance", &instance),
                    ("job", "node-exporter"),
                    ("namespace", "monitoring"),
                    ("node", &self.node),
                ]);
            }
        }
        pairs.sort_unstable();
        pairs.iter().for_each(|(name, value)| LabelSection::push(out, name, value));
    }
}

/// Letters and digits that Kubernetes makes names of.
fn word(mut draw: u64, length: usize) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..length)
        .map(|_| {
            let letter = ALPHABET[(draw % 27) as usize];
            draw /= 27;
            char::from(letter)
        })
        .collect()
}
