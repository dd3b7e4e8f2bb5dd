//! A toy kernel that runs containers, written from docs/porting.md alone: what it takes where the kernel is not Veridian.

#![forbid(unsafe_code)]

mod kernel;
mod platform;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::sync::Arc;

use veridian_containers::Signal;
use veridian_containers::abi::{CreateFlags, DeleteFlags};
use veridian_containers::config::Config;
use veridian_containers::engine::{Container, CreateRequest, Engine, drive};

use kernel::{Toy, tick};

/// A container with a root and limits. The last line gives up what this kernel does not have.
const WEB: &str = "root_path=rootfs\nroot_readonly=true\nhostname=${CONTAINER_ID}\nprocess_args=[\"server\"]\n\
    namespace=mount\nnamespace=uts\nmemory_limit=64K\npids_limit=2\n\
    masked_path=none\nreadonly_path=none\nseccomp=unconfined\n";
/// Its program.
const SERVER: &str = "host\nread /page\nread /../../etc/secret\nwrite /log\nfork\nfork";

/// A machine with some files and an engine.
fn boot() -> Engine<Toy> {
    let toy = Toy::default();
    let files = [("/srv/web/rootfs/bin/server", SERVER), ("/srv/web/rootfs/page", "a page"), ("/etc/secret", "hidden")];
    toy.lock().world.files = files.map(|(path, text)| (path.into(), text.into())).into();
    Engine::new(toy, [0x5eed, 0xf00d])
}

/// What this kernel's system call `container_create` does.
fn create(engine: &Engine<Toy>, id: &str, document: &str) -> Result<Arc<Container<Toy>>, Box<dyn Error>> {
    let config = Config::parse(document.as_bytes(), &[("CONTAINER_ID", id), ("BUNDLE", "/srv/web")])?;
    let (flags, bundle_path) = (CreateFlags::empty(), String::from("/srv/web"));
    let request = CreateRequest { id: id.parse()?, config, flags, bundle: "/srv/web", bundle_path, caller: &() };
    Ok(drive(engine.create(request), || tick(engine))?)
}

/// The life of a container, as a transcript.
fn transcript() -> Result<Vec<String>, Box<dyn Error>> {
    let engine = boot();
    let before = engine.platform().lock().world.clone();
    let web = create(&engine, "web", WEB)?;
    let mut told = vec![format!("created: {}", engine.state_json(&web, &())?)];
    drive(engine.start(&web), || {})?;
    (0..9).for_each(|_| tick(&engine));
    told.append(&mut engine.platform().lock().console);
    told.push(format!("runs: {} tasks of {}", engine.stats(&web)?.pids_current, engine.stats(&web)?.pids_limit));
    engine.kill(&web, Signal::SIGKILL)?;
    told.push(format!("ended: {}", drive(web.stopped(), || tick(&engine)).status));
    drive(engine.delete(&web, DeleteFlags::empty()), || tick(&engine))?;
    let refused = create(&engine, "net", &format!("{WEB}namespace=network\n")).map(drop);
    told.push(format!("refused: {}", refused.expect_err("this kernel has no network")));
    let nothing = engine.platform().lock().world == before;
    told.push(format!("left behind: {}", if nothing { "nothing" } else { "something" }));
    Ok(told)
}

fn main() -> Result<(), Box<dyn Error>> {
    transcript()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
