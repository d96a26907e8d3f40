//! The engine driven as clients drive it, without sockets and with a clock of the test's own.

mod again;
mod answers;
mod cold;
mod kit;
mod leaving;
mod operations;
mod oracle;
mod queues;
mod quorum;
mod refusals;
mod returning;
mod routing;
mod settling;
mod stepped;
mod timing;
mod unfinished;
