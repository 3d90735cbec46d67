//! The live view of `redoubt up`: what is drawn, and when.

mod draw;
mod screen;
mod terminal;

use self::screen::Screen;
pub(crate) use self::terminal::{Feed, run};
