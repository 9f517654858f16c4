#![doc = include_str!("../README.md")]

pub mod address;
pub mod call;
pub mod claim;
pub mod cloud;
pub mod config;
pub mod content;
pub mod http;
pub mod link;
pub mod listing;
pub mod normal_form;
pub mod notify;
pub mod outgoing;
pub mod pipeline;
pub mod registry;
pub mod sample;
pub mod source;
