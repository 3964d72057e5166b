//! Two processes: this test binary starts itself.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::{env, fs, thread, time::Duration};

use m3ae_files::{FilesError, Lock, NewFile, clear_leftovers, write_folder};

use crate::names;

/// What the other process does: it says that it is on its way, and then waits until it is killed.
const PLACE: &str = "M3AE_FILES_TEST_PLACE";

/// Run by [`start`]; alone, it has nothing to do.
#[test]
fn other_process() {
    let Ok(place) = env::var(PLACE) else { return };
    let place = Path::new(&place);
    let _lock = Lock::acquire(&place.join(".lock")).unwrap();
    let mut file = NewFile::create(&place.join("report.html")).unwrap();
    file.write_all(b"half").unwrap();
    let _ = write_folder(&place.join("model"), |folder| {
        folder.write("config.json", b"{}")?;
        println!("\nwaiting");
        thread::sleep(Duration::from_secs(600));
        Ok::<_, FilesError>(())
    });
}

fn start(place: &Path) -> Child {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "processes::other_process", "--nocapture"])
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "waiting"), "the other process ended early");
    child
}

#[test]
fn a_living_process_keeps_its_files_and_its_lock_and_a_killed_one_does_not() {
    let place = tempfile::tempdir().unwrap();
    let mut child = start(place.path());
    let begun = names(place.path());
    assert_eq!(begun.len(), 4, "a file, a folder and its lock, the process's lock: {begun:?}");
    assert!(clear_leftovers(place.path()).unwrap().is_empty());
    assert!(matches!(Lock::acquire(&place.path().join(".lock")), Err(FilesError::Locked { .. })));
    // Writing to the same place does not disturb it either.
    write_folder(&place.path().join("model"), |folder| folder.write("a", b"ours")).unwrap();
    fs::remove_dir_all(place.path().join("model")).unwrap();
    assert_eq!(names(place.path()), begun);

    child.kill().unwrap();
    child.wait().unwrap();
    let _lock = Lock::acquire(&place.path().join(".lock")).unwrap();
    assert!(!clear_leftovers(place.path()).unwrap().is_empty());
    assert_eq!(names(place.path()), [".lock"]);
}

#[test]
fn a_lock_can_be_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let mut child = start(place.path());
    let killer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        child.kill().unwrap();
        child.wait().unwrap();
    });
    let _lock = Lock::wait(&place.path().join(".lock")).unwrap();
    assert!(killer.join().is_ok());
}
