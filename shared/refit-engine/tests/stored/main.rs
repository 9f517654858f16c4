//! What the engine stores: under which names, and in which forms.

mod layout;
mod record;
