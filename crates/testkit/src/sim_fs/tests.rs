//! The simulated disk itself: what must be there after a crash, and what may.

use super::*;

fn read(fs: &SimFs, path: &str) -> Option<Vec<u8>> {
    Fs::read(fs, Path::new(path)).ok()
}

/// Everything that crash states hold under `path`, over all prefixes from `from` on and many seeds.
fn possible(fs: &SimFs, from: usize, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let prefixes = from..=fs.trace_len();
    prefixes
        .flat_map(|prefix| (0..50).flat_map(move |seed| fs.crash_states(prefix, seed)))
        .map(|disk| read(&disk, path))
        .collect()
}

#[test]
fn behaves_like_a_file_system() {
    let fs = SimFs::new();
    let path = Path::new("/a/b/file");
    fs.create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = fs.create(path).unwrap();
    file.append(b"hello ").unwrap();
    file.append(b"world").unwrap();
    assert_eq!(Fs::read(&fs, path).unwrap(), b"hello world");
    assert_eq!(fs.create(path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let reader = fs.open(path).unwrap();
    fs.truncate(path, 5).unwrap();
    assert_eq!(reader.len().unwrap(), 5);
    assert_eq!(reader.read_exact_at(&mut [0; 3], 4).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    longhaul_disk::write_atomically(&fs, path, b"new").unwrap();
    assert_eq!(Fs::read(&fs, path).unwrap(), b"new");
    let entries = fs.list(Path::new("/a")).unwrap();
    assert_eq!(entries, [Entry { name: "b".into(), is_dir: true, len_bytes: 0 }]);
    assert_eq!(fs.list(path.parent().unwrap()).unwrap().len(), 1);
    fs.rename(path, Path::new("/a/c")).unwrap();
    assert_eq!(fs.open(path).unwrap_err().kind(), io::ErrorKind::NotFound);
    fs.remove_dir_all(Path::new("/a")).unwrap();
    assert_eq!(fs.list(Path::new("/")).unwrap(), []);
    assert_eq!(fs.remove_file(path).unwrap_err().kind(), io::ErrorKind::NotFound);
    let held = fs.lock(Path::new("/lock")).unwrap();
    assert_eq!(fs.lock(Path::new("/lock")).err().unwrap().kind(), io::ErrorKind::WouldBlock);
    drop(held);
    fs.lock(Path::new("/lock")).unwrap();
}

#[test]
fn appended_bytes_are_there_for_sure_once_synced() {
    let fs = SimFs::new();
    let mut file = fs.create(Path::new("/f")).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    file.append(&[1; 700]).unwrap();
    file.sync_data().unwrap();
    let synced = fs.trace_len();
    file.append(&[2; 1500]).unwrap();
    let states = possible(&fs, synced, "/f");
    for state in &states {
        let bytes = state.as_deref().unwrap();
        assert!(bytes.len() >= 700 && bytes[..700].iter().all(|byte| *byte == 1));
        for (at, byte) in bytes.iter().enumerate().skip(700) {
            assert!([0, 2].contains(byte));
            assert_eq!(*byte, bytes[(at / 512 * 512).max(700)], "sectors come whole");
        }
    }
    let lengths: BTreeSet<usize> = states.iter().map(|state| state.as_ref().unwrap().len()).collect();
    assert_eq!(lengths, [700, 1024, 1536, 2048, 2200].into());
    assert!(states.iter().flatten().any(|bytes| bytes.contains(&0)), "holes are part of it");
}

#[test]
fn what_a_failed_sync_should_have_covered_stays_uncertain() {
    let fs = SimFs::new();
    let mut file = fs.create(Path::new("/f")).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    file.append(b"lost?").unwrap();
    fs.fail(FaultPoint::SyncData, 0, EIO);
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(EIO));
    file.append(b"kept").unwrap();
    file.sync_data().unwrap();
    let states = possible(&fs, fs.trace_len(), "/f");
    assert_eq!(states, [Some(b"lost?kept".to_vec()), Some(b"\0\0\0\0\0kept".to_vec())].into());
}

#[test]
fn names_are_kept_or_lost_each_by_itself_until_the_directory_is_synced() {
    let fs = SimFs::new();
    for (name, content) in [("/old", b"1"), ("/gone", b"2"), ("/tmp", b"3")] {
        let mut file = fs.create(Path::new(name)).unwrap();
        file.append(content).unwrap();
        file.sync_data().unwrap();
    }
    fs.sync_dir(Path::new("/")).unwrap();
    let before = fs.trace_len();
    fs.rename(Path::new("/tmp"), Path::new("/old")).unwrap();
    fs.remove_file(Path::new("/gone")).unwrap();
    let states: BTreeSet<_> = (0..50)
        .flat_map(|seed| fs.crash_states(fs.trace_len(), seed))
        .map(|disk| (read(&disk, "/old"), read(&disk, "/tmp"), read(&disk, "/gone")))
        .collect();
    let (one, two, three) = (Some(b"1".to_vec()), Some(b"2".to_vec()), Some(b"3".to_vec()));
    let moved = [(one.clone(), three.clone()), (three.clone(), None)];
    let expected =
        moved.into_iter().flat_map(|(old, tmp)| [two.clone(), None].map(|gone| (old.clone(), tmp.clone(), gone)));
    assert_eq!(states, expected.collect());
    assert_eq!(possible(&fs, before, "/old"), [one, three.clone()].into());
    fs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(possible(&fs, fs.trace_len(), "/old"), [three].into());
    assert_eq!(possible(&fs, fs.trace_len(), "/gone"), [None].into());
}

#[test]
fn a_file_in_a_lost_directory_is_lost() {
    let fs = SimFs::new();
    fs.create_dir_all(Path::new("/d/e")).unwrap();
    let mut file = fs.create(Path::new("/d/e/f")).unwrap();
    file.append(b"x").unwrap();
    file.sync_data().unwrap();
    fs.sync_dir(Path::new("/d/e")).unwrap();
    fs.sync_dir(Path::new("/d")).unwrap();
    assert!(possible(&fs, fs.trace_len(), "/d/e/f").contains(&None));
    fs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(possible(&fs, fs.trace_len(), "/d/e/f"), [Some(b"x".to_vec())].into());
}

#[test]
fn a_rename_between_directories_is_never_half_done() {
    let fs = SimFs::new();
    fs.create_dir_all(Path::new("/a")).unwrap();
    fs.create_dir_all(Path::new("/b")).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    fs.create(Path::new("/a/f")).unwrap();
    fs.rename(Path::new("/a/f"), Path::new("/b/f")).unwrap();
    fs.sync_dir(Path::new("/b")).unwrap();
    assert_eq!(possible(&fs, fs.trace_len(), "/b/f"), [Some(vec![])].into());
    assert_eq!(possible(&fs, fs.trace_len(), "/a/f"), [None].into());
}

#[test]
fn faults_strike_once_and_where_they_were_set() {
    let fs = SimFs::new();
    fs.fail(FaultPoint::Append, 1, ENOSPC);
    let mut file = fs.create(Path::new("/f")).unwrap();
    file.append(b"ab").unwrap();
    assert_eq!(file.append(b"cdef").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(read(&fs, "/f").unwrap(), b"abcd");
    file.append(b"!").unwrap();
    for (point, attempt) in [
        (FaultPoint::Create, (|fs: &SimFs| fs.create(Path::new("/g")).map(drop)) as fn(&SimFs) -> io::Result<()>),
        (FaultPoint::Rename, |fs| fs.rename(Path::new("/f"), Path::new("/g"))),
        (FaultPoint::RemoveFile, |fs| fs.remove_file(Path::new("/f"))),
        (FaultPoint::Truncate, |fs| fs.truncate(Path::new("/f"), 0)),
        (FaultPoint::SyncDir, |fs| fs.sync_dir(Path::new("/"))),
        (FaultPoint::Read, |fs| Fs::read(fs, Path::new("/f")).map(drop)),
    ] {
        fs.fail(point, 0, EIO);
        let trace_len = fs.trace_len();
        assert_eq!(attempt(&fs).unwrap_err().raw_os_error(), Some(EIO), "{point:?}");
        assert_eq!(fs.trace_len(), trace_len);
    }
    assert_eq!(read(&fs, "/f").unwrap(), b"abcd!");
    let space = Space { available_bytes: 1, total_bytes: 2 };
    fs.set_space(space);
    assert_eq!(fs.space(Path::new("/")).unwrap(), space);
}

#[test]
fn forks_marks_and_damage() {
    let fs = SimFs::new();
    let mut file = fs.create(Path::new("/f")).unwrap();
    file.append(b"abc").unwrap();
    fs.mark("first");
    let at_first = fs.trace_len();
    fs.mark("second");
    assert_eq!(fs.marks(at_first), ["first"]);
    assert_eq!(fs.marks(fs.trace_len()), ["first", "second"]);
    let fork = fs.fork();
    fork.damage("/f", |bytes| bytes[1] ^= 1);
    assert_eq!(read(&fork, "/f").unwrap(), b"acc");
    assert_eq!(possible(&fork, 0, "/f"), [Some(b"acc".to_vec())].into());
    assert_eq!(read(&fs, "/f").unwrap(), b"abc");
}
