//! What a run shows on a terminal: curves, numbers and time left, drawn by a thread of its own.

mod chart;
mod draw;
mod history;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs, io};

use m3ae_train::{Metrics, Observer, RunConfig, RunFolder, Start, StepReport};
use ratatui::termion::event::Key;
use signal_hook::consts::SIGINT;

use self::draw::{Surroundings, draw};
use self::history::History;
use self::terminal::{Canvas, Message};
use self::view::View;
use super::Stop;
use super::lines::Lines;
use crate::output::say_error;
use crate::{logging, memory};

/// The least time between two frames.
const TICK: Duration = Duration::from_millis(100);
/// The most time between two frames: the clock goes on while steps are long.
const IDLE: Duration = Duration::from_secs(1);

/// Whether there is a terminal to draw on and to read keys from, and nobody has declined.
pub fn is_possible() -> bool {
    use io::IsTerminal;
    let declined = env::var_os("NO_DASHBOARD").is_some_and(|value| !value.is_empty());
    let able = env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let terminals = io::stdin().is_terminal() && io::stdout().is_terminal() && io::stderr().is_terminal();
    !declined && able && terminals && in_foreground()
}

/// Whether the terminal is ours: a background job that changes its mode is halted. Where the system does not tell, it
/// is.
fn in_foreground() -> bool {
    let groups = || {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // Behind the name: state, parent, process group, session, terminal, the terminal's foreground group.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some((fields.get(2)?.parse::<i64>().ok()?, fields.get(5)?.parse::<i64>().ok()?))
    };
    groups().is_none_or(|(ours, foreground)| ours == foreground)
}

/// Draws progress; prints lines while it has no terminal.
pub struct Dashboard {
    lines: Lines,
    view: Arc<Mutex<View>>,
    stop: Stop,
    screen: Option<Screen>,
}

/// An open dashboard.
struct Screen {
    messages: Sender<Message>,
    thread: JoinHandle<()>,
}

impl Dashboard {
    /// For a run of this recipe. `stop` is set where a key asks for it.
    pub fn new(config: &RunConfig, stop: &Stop) -> Self {
        let view = View::new(&config.run.name, config.folder().display().to_string(), config.log.every);
        Self { lines: Lines::new(config), view: Arc::new(Mutex::new(view)), stop: stop.clone(), screen: None }
    }

    fn open(&mut self) -> io::Result<()> {
        let (messages, received) = channel();
        let mut canvas = terminal::open(messages.clone())?;
        logging::hold();
        self.stop.tell_second()?;
        let (view, stop) = (Arc::clone(&self.view), self.stop.clone());
        let work = move || {
            show(&mut canvas, &view, &stop, &received);
            terminal::close();
        };
        let thread = thread::Builder::new().name("m3ae-screen".into()).spawn(work)?;
        self.screen = Some(Screen { messages, thread });
        Ok(())
    }

    /// Gives the terminal back, and prints there what was noticed.
    fn close(&mut self) {
        if let Some(Screen { messages, thread }) = self.screen.take() {
            // A thread that has ended already, or panicked, has said so.
            let _ = messages.send(Message::Close);
            let _ = thread.join();
            self.give_back();
        }
    }

    fn give_back(&self) {
        terminal::close();
        if let Err(problem) = self.stop.exit_at_second() {
            tracing::warn!("cannot listen for signals: {problem}");
        }
        let mut view = lock(&self.view);
        logging::release().into_iter().for_each(|line| view.notice(line));
        view.kept().iter().for_each(|line| say_error!("{line}"));
    }

    /// Whether the dashboard is there; it is not where the terminal had to be given back.
    fn is_open(&mut self) -> bool {
        if self.screen.as_ref().is_some_and(|screen| screen.thread.is_finished()) {
            self.close();
        }
        self.screen.is_some()
    }
}

fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.close();
    }
}

impl Observer for Dashboard {
    fn start(&mut self, start: &Start, folder: &RunFolder) {
        self.lines.start(start, folder);
        {
            let mut view = lock(&self.view);
            view.steps = start.steps;
            if start.resumed_at.is_some() {
                view.history = History::read(&folder.file("metrics.jsonl"));
            }
        }
        if let Err(problem) = self.open() {
            self.give_back();
            say_error!("no dashboard: {problem}");
        }
    }

    fn step(&mut self, report: &StepReport) {
        match self.is_open() {
            true => lock(&self.view).step(report),
            false => self.lines.step(report),
        }
    }

    fn validated(&mut self, step: usize, metrics: &Metrics, best: bool) {
        match self.is_open() {
            true => lock(&self.view).validated(step, metrics, best),
            false => self.lines.validated(step, metrics, best),
        }
    }

    fn notice(&mut self, text: &str) {
        match self.is_open() {
            true => lock(&self.view).notice(text.to_owned()),
            false => self.lines.notice(text),
        }
    }
}

/// Draws frames and obeys keys until it is told to end, or the terminal was given back.
fn show(canvas: &mut Canvas, view: &Mutex<View>, stop: &Stop, received: &Receiver<Message>) {
    let mut asked = stop.flag().load(Ordering::Relaxed);
    let mut tick = Instant::now();
    let mut drawn: Option<(Instant, u64, bool)> = None;
    loop {
        match received.recv_timeout(TICK.saturating_sub(tick.elapsed())) {
            Ok(Message::Key(Key::Char('q' | 'Q') | Key::Ctrl('c'))) => {
                if stop.flag().swap(true, Ordering::Relaxed) {
                    return leave_at_once(SIGINT, view);
                }
                asked = true;
            }
            Ok(Message::Key(Key::Right | Key::Char('\t'))) => lock(view).choose(true),
            Ok(Message::Key(Key::Left | Key::BackTab)) => lock(view).choose(false),
            Ok(Message::Key(_)) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(signal) = stop.signal() {
            if asked {
                return leave_at_once(signal, view);
            }
            asked = true;
        }
        if tick.elapsed() < TICK {
            continue;
        }
        tick = Instant::now();
        let mut view = lock(view);
        logging::held().into_iter().for_each(|line| view.notice(line));
        let state = (view.version, asked);
        if drawn.is_some_and(|(time, version, was)| (version, was) == state && time.elapsed() < IDLE) {
            continue;
        }
        drawn = Some((tick, state.0, state.1));
        let around = Surroundings { stopping: asked, memory: memory::now(), peak: memory::peak() };
        // The lock goes with the closure, before anything is written: the run never waits for a slow terminal.
        if !terminal::draw(canvas, move |frame| draw(frame, &view, &around)) {
            return;
        }
    }
}

/// Ends the process as a second signal does.
fn leave_at_once(signal: i32, view: &Mutex<View>) {
    terminal::close();
    lock(view).kept().iter().for_each(|line| say_error!("{line}"));
    signal_hook::low_level::exit(128 + signal);
}
