//! Every parser that meets the outside, given what nobody meant.
//!
//! A [`targets::Target`] reads bytes, checks what must hold of whatever it understood, and says what it made of them.
//! Inputs are seeds that [`mutate`] has changed, by bytes and by the structure of JSON; one that leads to an outcome not
//! seen before is changed further. The same seed gives the same inputs. [`work`] runs them one after another on a thread
//! with the stack of a worker of the product; [`hunt`] does so in processes of their own, since a stack that overflows
//! takes its process along.

pub mod hunt;
pub mod mutate;
pub mod targets;
pub mod work;
