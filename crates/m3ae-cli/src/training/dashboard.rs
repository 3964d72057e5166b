//! A dashboard on the terminal: curves, numbers and time left, drawn by a thread of its own.
//!
//! # Why this is not `burn-train`'s terminal renderer
//!
//! `burn-train` 0.22.1 has a renderer that takes the metrics of steps without its `Learner`. Tried with six metrics
//! over 600 steps, in terminals of 80 by 24 and 20 by 5, it does not serve:
//!
//! - It ignores Ctrl-C, which in raw mode is a key like any other. `q` opens a menu, whose "kill" panics in the
//!   training thread. SIGTERM leaves the terminal in raw mode on the alternate screen. Here the first Ctrl-C, `q`,
//!   SIGINT or SIGTERM stops the run and saves it, a second one quits, and the terminal is always restored.
//! - Its x axis counts reports, not steps: every validation shifts the curve, and a resumed run begins at 0. Here it is
//!   the step, and a resumed run shows the curves of the earlier processes.
//! - At 80 by 24 it shows two of the six metrics and no step count, and does not scroll; at 20 by 5 it shows no value.
//! - It has no place for notices, such as a checkpoint that could not be saved, and log lines overwrite its frame.
//! - It draws on terminals that cannot show it (`TERM=dumb`).
//! - It adds 34 crates (about 38 s of one core to build) and turns on the features `flex` and `dataset` of
//!   `burn-core`, also in a build for GPUs alone.
//!
//! Its metric types read from the device once per metric and batch, and their state cannot be stored in a checkpoint.
//! `m3ae_train`'s sums read once per batch, refuse a loss that is not finite, and resume to the bit.

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

/// The minimum time between two frames.
const TICK: Duration = Duration::from_millis(100);
/// The maximum time between two frames: the elapsed time advances during long steps.
const IDLE: Duration = Duration::from_secs(1);

/// Whether there is a terminal to draw on and to read keys from, and the user did not decline with NO_DASHBOARD.
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

/// Draws progress; prints lines when it does not have the terminal.
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
    /// The dashboard for a run of this recipe; a key can set `stop`.
    pub fn new(config: &RunConfig, stop: &Stop) -> Self {
        let view = View::new(&config.run.name, config.folder().display().to_string(), config.log.every);
        Self { lines: Lines::new(config), view: Arc::new(Mutex::new(view)), stop: stop.clone(), screen: None }
    }

    fn open(&mut self) -> io::Result<()> {
        let (messages, received) = channel();
        let mut canvas = terminal::open(messages.clone())?;
        logging::hold();
        self.stop.report_signals()?;
        let (view, stop) = (Arc::clone(&self.view), self.stop.clone());
        let work = move || {
            show(&mut canvas, &view, &stop, &received);
            terminal::close();
        };
        let thread = thread::Builder::new().name("m3ae-screen".into()).spawn(work)?;
        self.screen = Some(Screen { messages, thread });
        Ok(())
    }

    /// Restores the terminal, and prints the notices there.
    fn close(&mut self) {
        if let Some(Screen { messages, thread }) = self.screen.take() {
            // A thread that has ended or panicked needs no message.
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
        view.remaining().iter().for_each(|line| say_error!("{line}"));
    }

    /// Whether the dashboard is on screen; closes it if its thread has ended.
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

/// Draws frames and handles keys until [`Message::Close`], or until the terminal is gone.
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
        // The closure drops the lock before anything is written: the run never waits for a slow terminal.
        if !terminal::draw(canvas, move |frame| draw(frame, &view, &around)) {
            return;
        }
    }
}

/// Restores the terminal and ends the process with the exit code of a second signal.
fn leave_at_once(signal: i32, view: &Mutex<View>) {
    terminal::close();
    lock(view).remaining().iter().for_each(|line| say_error!("{line}"));
    signal_hook::low_level::exit(128 + signal);
}
