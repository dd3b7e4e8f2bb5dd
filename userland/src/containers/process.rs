//! What a further process in a container is to be: that of its configuration, with what the command line changes.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use veridian_containers::{
    config::{CapabilitySet, Config, Process},
    keys::{self, KeyId},
};

use super::{bundle::Bundle, container::State, file, words::Words};

/// The document for `container_exec`.
pub fn document(state: &State, words: &Words, args: &[&str]) -> Result<Vec<u8>, String> {
    match (words.value("process"), args) {
        (Some(path), []) => file::read(path).map_err(|errno| format!("{path}: {errno}")),
        (Some(_), _) => Err("--process names the command already".into()),
        (None, []) => Err("a command is wanted, or --process FILE".into()),
        (None, args) => changed(state, words, args),
    }
}

fn changed(state: &State, words: &Words, args: &[&str]) -> Result<Vec<u8>, String> {
    let place = state.member("bundle");
    let bundle = Bundle::open(place)?;
    let variables = [("CONTAINER_ID", state.member("id")), ("BUNDLE", place)];
    let config = Config::parse(bundle.config(), &variables).map_err(|error| format!("{place}: {error}"))?;
    if format!("{}", config.identity()) != state.member("identity") {
        return Err(format!("{place}: the configuration is not the container's (any more); say all with --process"));
    }
    let mut settings = config.into_settings();
    change(&mut settings.process, words, args)?;
    let config = Config::new(settings).map_err(|error| error.to_string())?;
    let of_process = |line: &&str| {
        let key = line.split('=').next().and_then(keys::find);
        key.is_some_and(|key| (KeyId::ProcessCwd..=KeyId::OomScoreAdj).contains(&key.id))
    };
    let mut document = Vec::new();
    for line in config.to_string().lines().filter(of_process) {
        document.extend_from_slice(line.as_bytes());
        document.push(b'\n');
    }
    Ok(document)
}

fn change(process: &mut Process, words: &Words, args: &[&str]) -> Result<(), String> {
    process.args = args.iter().map(ToString::to_string).collect();
    process.terminal = words.has("tty");
    process.console_size = process.console_size.filter(|_| process.terminal);
    if let Some(cwd) = words.value("cwd") {
        process.cwd = cwd.to_string();
    }
    for entry in words.values("env") {
        let name = entry.split('=').next().unwrap_or_default();
        process.env.retain(|known| known.split('=').next() != Some(name));
        process.env.push(entry.to_string());
    }
    let id = |text: &str| text.parse().map_err(|_| format!("{text}: not a number of a user or group"));
    if let Some(user) = words.value("user") {
        let (uid, gid) = user.split_once(':').map_or((user, None), |(uid, gid)| (uid, Some(gid)));
        process.user.uid = id(uid)?;
        if let Some(gid) = gid {
            process.user.gid = id(gid)?;
        }
    }
    for gid in words.values("additional-gids") {
        process.user.additional_gids.push(id(gid)?);
    }
    process.no_new_privileges |= words.has("no-new-privs");
    for name in words.values("cap") {
        let known = CapabilitySet::from_name(name.strip_prefix("CAP_").unwrap_or(name));
        let added = known.ok_or_else(|| format!("{name}: no such capability"))?;
        let sets = &mut process.capabilities;
        for set in [&mut sets.bounding, &mut sets.permitted, &mut sets.effective] {
            *set |= added;
        }
    }
    Ok(())
}
