//! One configuration at work.

use super::{Proxy, Runtime, Server};
use conf::lb::model::Config;
use std::collections::HashMap;
use std::sync::Arc;

/// One configuration at work: its proxies, in the order of the files.
#[derive(Default)]
pub struct Generation {
    /// From 1; 0 is the empty one before the first configuration.
    pub number: u32,
    /// The configuration.
    pub conf: Arc<Config>,
    /// Its proxies, in the order of the files.
    pub proxies: Vec<Arc<Proxy>>,
    frontends: HashMap<String, Arc<Proxy>>,
    backends: HashMap<String, Arc<Proxy>>,
}

impl Generation {
    /// Builds the next generation: proxies and servers of the same names take
    /// over counters, states, weights, addresses and queues of `runtime`'s
    /// present generation. Nothing becomes active before [`Runtime::install`].
    pub fn next(runtime: &Runtime, conf: Arc<Config>) -> Arc<Generation> {
        let old = runtime.generation();
        let number = old.number + 1;
        let proxies: Vec<Arc<Proxy>> = conf
            .proxies
            .iter()
            .map(|p| Proxy::build(runtime, number, p.clone(), &conf, &old))
            .collect();
        let by_name = |has_side: fn(&Proxy) -> bool| {
            proxies
                .iter()
                .filter(|p| has_side(p))
                .map(|p| (p.conf.name.clone(), p.clone()))
                .collect::<HashMap<_, _>>()
        };
        let generation = Generation {
            number,
            frontends: by_name(|p| p.front.is_some()),
            backends: by_name(|p| p.back.is_some()),
            conf: conf.clone(),
            proxies,
        };
        generation.link_trackers();
        let leads = |server: &Server| server.conf.track.is_none();
        for (_, server) in generation.servers().filter(|(_, s)| leads(s)) {
            server.hand_down(runtime.now_ms());
        }
        for proxy in &generation.proxies {
            proxy.count_usable(runtime.now_ms());
        }
        Arc::new(generation)
    }

    /// The proxy of this name that has a frontend side.
    pub fn frontend(&self, name: &str) -> Option<&Arc<Proxy>> {
        self.frontends.get(name)
    }

    /// The proxy of this name that has a backend side.
    pub fn backend(&self, name: &str) -> Option<&Arc<Proxy>> {
        self.backends.get(name)
    }

    /// A proxy by its name or, written `#<number>`, by its id; a backend is preferred.
    pub fn proxy(&self, name: &str) -> Option<&Arc<Proxy>> {
        if let Some(id) = name.strip_prefix('#').and_then(|n| n.parse::<u32>().ok()) {
            return self.proxies.iter().find(|p| p.conf.id == id);
        }
        self.backend(name).or_else(|| self.frontend(name))
    }

    /// The server `server` of backend `backend`; either may be `#<number>`.
    pub fn server(&self, backend: &str, server: &str) -> Option<&Arc<Server>> {
        let proxy = match backend.starts_with('#') {
            true => self.proxy(backend)?,
            false => self.backend(backend)?,
        };
        proxy.server(server)
    }

    /// All servers with their backends.
    pub fn servers(&self) -> impl Iterator<Item = (&Arc<Proxy>, &Arc<Server>)> {
        self.proxies
            .iter()
            .flat_map(|p| p.servers.iter().map(move |s| (p, s)))
    }

    fn link_trackers(&self) {
        for (_, server) in self.servers() {
            let Some(track) = &server.conf.track else {
                continue;
            };
            if let Some(tracked) = self.server(&track.backend, &track.server) {
                tracked.tracked_by(server);
            }
        }
    }
}
