//! Simulation kit for tests: seeded randomness now; a disk that lies; clocks and networks
//! as the simulations need them. Knows no daemon.

pub mod disk;
pub mod lan;
pub mod rng;
