//! Telling the name servers what this broker has.

mod register;
mod rounds;

pub use register::Registrar;
pub use rounds::Rounds;
