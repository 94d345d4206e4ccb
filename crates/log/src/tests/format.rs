//! The format itself: golden bytes, and what a later version or another log may have written.

use super::support::*;
use crate::frame::{HEAD_BYTES, Head, Kind};
use crate::page::file_position;
use crate::segment::{Seed, SegmentHeader};
use crate::*;
use longhaul_disk::Fs;
use longhaul_model::{MatchOp, Matcher, TimeRange};
use longhaul_testkit::sim_fs::SimFs;
use std::path::Path;

fn golden_log() -> SimFs {
    let fs = new_disk();
    let world = World::new(&[3]);
    let mut writer = open_writer(&fs, settings());
    let sample = |t_ms, value| vec![Sample::new(t_ms, value)];
    let entries = vec![(0, sample(1000, 1.0)), (1, sample(1000, 0.25)), (2, sample(1001, f64::NAN))];
    commit_batch(&mut writer, world.batch(entries)).unwrap();
    let refusals = Refusals { tenant: TenantId::parse("tenant-0").unwrap(), batch: 1, samples: vec![(1, 0), (2, 0)] };
    commit(&mut writer, vec![Append::Refusals(refusals, 0)]);
    commit_batch(&mut writer, world.batch(vec![(1, vec![Sample::new(2000, -0.0), Sample::new(3000, 1e300)])])).unwrap();
    writer.close();
    fs
}

/// The segment of [`golden_log`]. This version's bytes stay readable for ever: when the format changes, this stays and
/// a second constant joins it.
const GOLDEN: &str = "
4c484c47010000000123456789ab4def8123456789abcdef0100000000000000
010000000000000000000000000000000000000000000000000000000915132a
a400000001000000000000000000000040000000000000009147c0b302b72cfb
0874656e616e742d300a00085f5f6e616d655f5f010e6d65747269635f305f74
6f74616c0208696e7374616e6365030d31302e302e302e303a3931303004036a
6f6205046e6f6465060e6d65747269635f315f746f74616c070d31302e302e30
2e313a39313030080e6d65747269635f325f746f74616c090d31302e302e302e
323a393130300300030000010002030004050203000006000207010203000008
00020901210000000200000001000000000000004000000000000000cbac008f
0c6f33210874656e616e742d30030602060207d00f0002010212f40140000000
000000f87f1100000003000000020000000000000045010000000000001c17d1
72132342f20874656e616e742d30010205020205000025000000020000000300
00000000000076010000000000007d6f44887039ee470874656e616e742d3001
0304030405a01fd00f400000000000000080409c7500883ce4377ea400000001
0000000300000000000000bb010000000000009f9508eab10fd17f0874656e61
6e742d300a00085f5f6e616d655f5f010e6d65747269635f305f746f74616c02
08696e7374616e6365030d31302e302e302e303a3931303004036a6f6205046e
6f6465060e6d65747269635f315f746f74616c070d31302e302e302e313a3931
3030080e6d65747269635f325f746f74616c090d31302e302e302e323a393130
3003000300000100020300040502030000060002070102030000080002090100
0000000400000003000000000000007f02000000000000395a972f6818cf34
";

#[test]
fn golden_bytes() {
    let fs = golden_log();
    let golden: Vec<u8> = GOLDEN
        .split_whitespace()
        .flat_map(|line| (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()))
        .collect();
    let written = Fs::read(&fs, &segment_path(1)).unwrap();
    let lines = written.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert!(golden == written, "what is written now:\n{}", lines.collect::<Vec<_>>().join("\n"));
    let id = Fs::read(&fs, &Path::new(DIR).join("id")).unwrap();
    assert_eq!(String::from_utf8(id).unwrap(), "longhaul log 01234567-89ab-4def-8123-456789abcdef 86d56458\n");
    let opened = open_log(&fs, settings());
    let records = replayed(&opened);
    let samples = |offset: Offset| records[&offset].1.iter().flat_map(|entry| entry.2.clone()).collect::<Vec<_>>();
    assert_eq!(samples(1), [(1000, 1f64.to_bits()), (1000, 0.25f64.to_bits()), (1001, f64::NAN.to_bits())]);
    assert_eq!(samples(2), [(1, 0), (2, 0)]);
    assert_eq!(samples(3), [(2000, (-0.0f64).to_bits()), (3000, 1e300f64.to_bits())]);
    assert_eq!(opened.refused().of(1), [(1, 0), (2, 0)]);
    assert_eq!((opened.refused().of(3), opened.refused().batches()), (vec![], 1));
}

#[test]
fn golden_deletion() {
    let payload = |deletion: &Deletion| {
        let mut payload = Vec::new();
        deletions::encode(deletion, &mut payload).unwrap();
        payload
    };
    let tenant = TenantId::parse("t").unwrap();
    let range = TimeRange::new(-1, 300);
    let matchers = vec![Matcher::equal("a", "up"), Matcher::new("b", MatchOp::NotRegex, "x|y").unwrap()];
    let golden = Deletion { tenant, id: 0x0102, tombstone: Tombstone { matchers, range }, since_ms: 5 };
    let matchers = b"\x02\x00\x01a\x02up\x03\x01b\x03x|y";
    let bytes = [&b"\x01t\x02\x01"[..], &[0; 14], matchers, b"\x01\xd8\x04\x0a"].concat();
    assert_eq!(payload(&golden), bytes);
    assert_eq!(deletions::decode(&bytes), Some(golden.clone()));
    for length in 0..bytes.len() {
        assert_eq!(deletions::decode(&bytes[..length]), None);
    }
    let all = Deletion { tombstone: Tombstone { matchers: vec![], range: TimeRange::ALL }, ..golden.clone() };
    assert_eq!(deletions::decode(&payload(&all)), Some(all));
    let matchers = vec![Matcher::equal("x", "x".repeat(1 << 20))];
    let long = Deletion { tombstone: Tombstone { matchers, range }, ..golden };
    assert!(matches!(deletions::encode(&long, &mut Vec::new()), Err(LogError::TooLarge(_))));
}

#[test]
fn an_unknown_kind_refuses_to_start() {
    let fs = golden_log();
    fs.damage(segment_path(1), |bytes| {
        let seed = Seed::new(LOG_ID, 1);
        let at = bytes.len() as u64;
        assert_eq!(file_position(at - 64), at);
        let mut head = Head::new(seed, at, Kind::Seal, 4, at, &[]);
        head.kind = 200;
        bytes.extend_from_slice(&head.encode(seed, at));
        assert_eq!(bytes.len() as u64, at + HEAD_BYTES as u64);
    });
    let before = Fs::read(&fs, &segment_path(1)).unwrap();
    let error = try_open(&fs, settings()).unwrap_err();
    assert!(matches!(error, LogError::Unknown { what: "frame kind", found: 200, .. }), "{error}");
    assert!(error.to_string().contains("newer Longhaul"), "{error}");
    assert_eq!(Fs::read(&fs, &segment_path(1)).unwrap(), before, "nothing was changed");
}

#[test]
fn an_unknown_version_and_foreign_segments_refuse_to_start() {
    let version = golden_log();
    version.damage(segment_path(1), |bytes| {
        bytes[4] = 2;
        let check = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&check.to_le_bytes());
    });
    let error = try_open(&version, settings()).unwrap_err();
    assert!(matches!(error, LogError::Unknown { what: "version", found: 2, .. }), "{error}");

    let renamed = golden_log();
    renamed.rename(&segment_path(1), &segment_path(3)).unwrap();
    let error = try_open(&renamed, settings()).unwrap_err();
    assert!(matches!(error, LogError::Foreign { .. }), "{error}");

    let foreign = golden_log();
    let log_id = longhaul_model::LogId::from_u128(1);
    let header = SegmentHeader { log_id, number: 2, base: 4, previous: 1, previous_end: 9 };
    let mut file = foreign.create(&segment_path(2)).unwrap();
    file.append(&header.encode()).unwrap();
    let error = try_open(&foreign, settings()).unwrap_err();
    assert!(matches!(error, LogError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains(&log_id.to_string()), "{error}");
}

#[test]
fn a_lost_id_comes_back_from_the_segments_or_refuses_to_start() {
    let fs = golden_log();
    fs.remove_file(&Path::new(DIR).join("id")).unwrap();
    let other = longhaul_model::LogId::from_u128(1);
    let opened = open(Arc::new(fs.clone()), DIR.into(), settings(), other).unwrap();
    assert_eq!(opened.log_id(), LOG_ID);
    assert_eq!(opened.damage().iter().map(|damage| damage.reason).collect::<Vec<_>>(), [DamageReason::LogId]);
    assert_eq!(open_log(&fs, settings()).damage(), [], "mended");
    fs.remove_file(&Path::new(DIR).join("id")).unwrap();
    fs.damage(segment_path(1), |bytes| bytes[0] ^= 1);
    assert!(matches!(try_open(&fs, settings()).unwrap_err(), LogError::IdLost { .. }));
}
