//! Simulation kit for tests: seeded randomness now; clocks, networks and disks
//! as the simulations need them. Knows no daemon.

pub mod rng;
