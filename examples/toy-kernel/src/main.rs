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
use veridian_containers::config::{Config, Process, Resources};
use veridian_containers::engine::{Container, CreateRequest, Engine, ExecRequest, drive};

use kernel::{Toy, tick};

/// A container with a root, a read-only mount and limits. The lines at its end give up what this kernel does not have.
const WEB: &str = "root_path=rootfs\nhostname=${CONTAINER_ID}\nprocess_args=[\"server\"]\nmount=/www:bind:/data:ro\n\
    namespace=mount\nnamespace=pid\nnamespace=uts\nmemory_limit=64K\npids_limit=2\n\
    masked_path=none\nreadonly_path=none\nseccomp=unconfined\n";
/// The same kind of thing as config.json.
const JSON: &str = r#"{"ociVersion": "1.0.2", "root": {"path": "/srv/web/rootfs", "readonly": true},
    "process": {"cwd": "/", "args": ["/bin/writer"], "user": {"uid": 0, "gid": 0}},
    "linux": {"namespaces": [{"type": "mount"}], "maskedPaths": [], "readonlyPaths": [],
              "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}}"#;

/// A machine with some files and an engine.
fn boot() -> Engine<Toy> {
    let toy = Toy::default();
    let server = "host\nread /www/page\nwrite /www/page\nread /../../etc/secret\nfork\nfork\nwrite /log\nidle";
    toy.lock().world.files = [
        ("/srv/web/rootfs/bin/server", server),
        ("/srv/web/rootfs/bin/writer", "write /log\nexit 3"),
        ("/srv/web/rootfs/bin/hog", "take 40000\ntake 40000"),
        ("/srv/web/rootfs/bin/hello", "say hello from inside"),
        ("/data/page", "a page"),
        ("/etc/secret", "a secret"),
    ]
    .map(|(path, text)| (path.into(), text.into()))
    .into();
    Engine::new(toy, [0x5eed, 0xf00d])
}

/// What this kernel's system call `container_create` does.
fn create(engine: &Engine<Toy>, id: &str, document: &str) -> Result<Arc<Container<Toy>>, Box<dyn Error>> {
    let config = Config::parse(document.as_bytes(), &[("CONTAINER_ID", id), ("BUNDLE", "/srv/web")])?;
    let bundle_path = String::from("/srv/web");
    let flags = CreateFlags::empty();
    let request = CreateRequest { id: id.parse()?, config, flags, bundle: "/srv/web", bundle_path, caller: &() };
    Ok(drive(engine.create(request), || tick(engine))?)
}

/// The lives of some containers, as a transcript.
fn transcript() -> Result<Vec<String>, Box<dyn Error>> {
    let engine = boot();
    let before = engine.platform().lock().world.clone();
    let mut told = Vec::new();
    let mut tell = |what: String| {
        told.extend(engine.platform().lock().console.drain(..).map(|line| format!("    {line}")));
        told.push(what);
    };
    let web = create(&engine, "web", WEB)?;
    tell(format!("created: {}", engine.state_json(&web, &())?));
    drive(engine.start(&web), || {})?;
    (0..9).for_each(|_| tick(&engine));
    tell(format!("runs: {} tasks of {}", engine.stats(&web)?.pids_current, engine.stats(&web)?.pids_limit));
    drive(engine.update(&web, &Resources::parse(b"pids_limit=3\n", &[])?), || {})?;
    let process = Process::parse(b"process_args=[\"hello\"]\n", &[])?;
    let guest = drive(engine.exec(&web, ExecRequest { process: &process, caller: &() }), || {})?;
    engine.platform().lock().release(guest)?;
    drive(engine.pause(&web), || {})?;
    tick(&engine);
    tell(String::from("paused: nothing is said"));
    drive(engine.resume(&web), || {})?;
    tick(&engine);
    engine.kill(&web, Signal::SIGKILL)?;
    tell(format!("ended: {}", drive(web.stopped(), || tick(&engine)).status));
    let json = create(&engine, "json", JSON)?;
    drive(engine.start(&json), || {})?;
    let exit = drive(json.stopped(), || tick(&engine));
    tell(format!("config.json ended: {}", exit.status));
    for container in [web, json] {
        drive(engine.delete(&container, DeleteFlags::empty()), || tick(&engine))?;
    }
    let refused = create(&engine, "net", &format!("{WEB}namespace=cgroup\n")).map(drop);
    tell(format!("refused: {}", refused.expect_err("this kernel has no cgroup namespaces")));
    engine.platform().lock().world.files.remove("/srv/web/rootfs/log");
    let nothing = engine.platform().lock().world == before;
    tell(format!("left behind: {}", if nothing { "nothing" } else { "something" }));
    Ok(told)
}

fn main() -> Result<(), Box<dyn Error>> {
    transcript()?.iter().for_each(|line| println!("{line}"));
    Ok(())
}
