//! What a process has cost so far, by the kernel's account (`/proc`, proc(5)).

use super::LoadError;
use std::fs;
use std::io;

/// Ticks of `utime` and `stime` a second; fixed for user space on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// A look at a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPU time in user and kernel mode, seconds.
    pub cpu_s: f64,
    /// Resident memory, KiB.
    pub resident_kib: u64,
    /// The most that was ever resident, KiB.
    pub resident_peak_kib: u64,
}

impl Usage {
    /// Looks at process `pid`.
    pub fn of(pid: u32) -> Result<Self, LoadError> {
        let read = |file: &str| {
            fs::read_to_string(format!("/proc/{pid}/{file}")).map_err(|cause| LoadError::Process { pid, cause })
        };
        let (stat, status) = (read("stat")?, read("status")?);
        parse(&stat, &status).ok_or_else(|| LoadError::Process {
            pid,
            cause: io::Error::new(io::ErrorKind::InvalidData, "no usage in /proc"),
        })
    }
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The command in parentheses may hold anything; utime and stime are the 14th and 15th field, the state the third.
    let (_, after_command) = stat.rsplit_once(')')?;
    let mut fields = after_command.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Usage {
        cpu_s: ticks as f64 / TICKS_PER_SECOND,
        resident_kib: kib("VmRSS")?,
        resident_peak_kib: kib("VmHWM")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_itself_and_commands_with_parentheses() {
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.resident_kib > 100 && own.resident_peak_kib >= own.resident_kib);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 1 0 9 9 9";
        let usage = parse(stat, "Name:\ta) b\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n").unwrap();
        assert_eq!(usage, Usage { cpu_s: 2.0, resident_kib: 200, resident_peak_kib: 300 });
        assert!(parse("", "").is_none());
    }
}
