//! What the engine stores: under which names, and in which forms.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod layout;
mod record;
