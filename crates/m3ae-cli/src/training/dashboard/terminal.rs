//! The terminal while the dashboard has it: in raw mode, on the alternate screen, and restored on every exit path.

use std::cell::Cell;
use std::io::{self, Stdout, Write, stdin, stdout};
use std::panic;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use ratatui::backend::TermionBackend;
use ratatui::termion::event::Key;
use ratatui::termion::input::TermRead;
use ratatui::termion::raw::{IntoRawMode, RawTerminal};
use ratatui::termion::{clear, cursor, screen, style};
use ratatui::{Frame, Terminal};

/// A message to the drawing thread.
pub enum Message {
    Key(Key),
    Close,
}

/// The terminal that frames are drawn on.
pub type Canvas = Terminal<TermionBackend<Stdout>>;

/// `Some` while the dashboard has the terminal; locked while a frame is drawn. Dropping the value ends raw mode.
static RAW: Mutex<Option<RawTerminal<Stdout>>> = Mutex::new(None);
/// The receiver of keys.
static LISTENER: Mutex<Option<Sender<Message>>> = Mutex::new(None);

thread_local! {
    /// Whether this thread is drawing, and so holds the lock.
    static DRAWS: Cell<bool> = const { Cell::new(false) };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over the terminal, and sends keys to `listener`.
pub fn open(listener: Sender<Message>) -> io::Result<Canvas> {
    static HOOK: Once = Once::new();
    // Leave the alternate screen before a panic prints its message.
    HOOK.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            close();
            earlier(panic);
        }));
    });
    let raw = stdout().into_raw_mode()?;
    let mut out = stdout();
    write!(out, "{}{}{}", screen::ToAlternateScreen, clear::All, cursor::Hide)?;
    out.flush()?;
    *lock(&RAW) = Some(raw);
    *lock(&LISTENER) = Some(listener);
    read_keys().and_then(|()| Terminal::new(TermionBackend::new(stdout()))).inspect_err(|_| close())
}

/// Starts a thread that reads keys until the process ends: reading cannot be interrupted.
fn read_keys() -> io::Result<()> {
    static READS: Mutex<bool> = Mutex::new(false);
    let mut reads = lock(&READS);
    if !*reads {
        let read = || {
            for key in stdin().keys().map_while(Result::ok) {
                if let Some(listener) = &*lock(&LISTENER) {
                    // The listener may be gone.
                    let _ = listener.send(Message::Key(key));
                }
            }
        };
        thread::Builder::new().name("m3ae-keys".into()).spawn(read)?;
        *reads = true;
    }
    Ok(())
}

/// Draws a frame. False if the dashboard no longer has the terminal, or the terminal is gone.
pub fn draw(canvas: &mut Canvas, frame: impl FnOnce(&mut Frame<'_>)) -> bool {
    let raw = lock(&RAW);
    if raw.is_none() {
        return false;
    }
    DRAWS.set(true);
    let drawn = canvas.draw(frame).is_ok();
    DRAWS.set(false);
    drawn
}

/// Restores the terminal if the dashboard has it. Any thread may call this at any time.
pub fn close() {
    if DRAWS.get() {
        // A panic while drawing: the lock is this thread's. Raw mode ends when the dashboard finds its thread dead.
        return leave();
    }
    if let Some(raw) = lock(&RAW).take() {
        leave();
        drop(raw);
    }
    *lock(&LISTENER) = None;
}

fn leave() {
    let mut out = stdout();
    // Nothing to restore if the terminal is gone.
    let _ = write!(out, "{}{}{}", style::Reset, screen::ToMainScreen, cursor::Show).and_then(|()| out.flush());
}
