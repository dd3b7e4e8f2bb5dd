//! The commands that the shell has itself: those about its own state, and a few to look around with.

use alloc::{ffi::CString, format, string::String, vec, vec::Vec};

use linux_raw_sys::general::{
    AT_SYMLINK_NOFOLLOW, MS_BIND, MS_RDONLY, MS_REMOUNT, O_CREAT, O_DIRECTORY, O_RDONLY, O_WRONLY, S_IFDIR, S_IFLNK,
    S_IFMT,
};
use veridian_containers::{Signal, abi::Errno};

use super::{Shell, expand::Command};
use crate::{
    io::print,
    println,
    sys::{self, AT_FDCWD, Fd},
};

const HELP: &str = "\
The shell's own:  cd DIR  pwd  export NAME=VALUE  unset NAME  set  jobs  fg [%N]  bg [%N]  exit [STATUS]  help
To look around:   ls [-l] [PATH...]  cat [FILE...]  echo WORDS  ps  id  hostname [NAME]  sleep SECONDS  env
                  mkdir DIR...  rm FILE...  touch FILE...  kill [-SIGNAL] PID...  mount [-t TYPE] [-o OPTIONS] WHAT WHERE
                  umount WHERE  true  false
Containers:       vctl help
Also:             a | b   a && b   a || b   a ; b   a &   <FILE   >FILE   >>FILE   2>&1   $NAME  'text'  \"text $NAME\"
";

type Outcome = Result<(), String>;

/// Runs a command that must change the shell itself; `None` if it is none.
pub fn in_the_shell(shell: &mut Shell, command: &Command) -> Option<u8> {
    let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["cd"] => cd("/"),
        ["cd", to] => cd(to),
        ["exit"] => {
            shell.ends = true;
            return Some(shell.status);
        }
        ["exit", status] => {
            shell.ends = true;
            return Some(status.parse().unwrap_or(super::SYNTAX));
        }
        ["export", ref assignments @ ..] => assignments.iter().try_for_each(|assignment| {
            // Every variable is in the environment of what is run.
            let (name, value) = assignment.split_once('=').unwrap_or((assignment, ""));
            if assignment.contains('=') {
                shell.variables.insert(String::from(name), String::from(value));
            }
            Ok(())
        }),
        ["unset", ref names @ ..] => {
            names.iter().for_each(|&name| drop(shell.variables.remove(name)));
            Ok(())
        }
        ["jobs"] => {
            shell.jobs.list();
            Ok(())
        }
        ["fg"] => return Some(shell.jobs.resume(None, true)),
        ["fg", which] => return Some(shell.jobs.resume(Some(which), true)),
        ["bg"] => return Some(shell.jobs.resume(None, false)),
        ["bg", which] => return Some(shell.jobs.resume(Some(which), false)),
        _ => return None,
    };
    Some(said(words[0], outcome))
}

/// Runs a command in a process of its own; `None` if it is a program's.
pub fn in_a_child(shell: &Shell, command: &Command) -> Option<u8> {
    let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["true" | ":"] => Ok(()),
        ["false"] => return Some(1),
        ["help"] => {
            print(1, format_args!("{HELP}"));
            Ok(())
        }
        ["echo", "-n", ref rest @ ..] => {
            print(1, format_args!("{}", rest.join(" ")));
            Ok(())
        }
        ["echo", ref rest @ ..] => {
            println!("{}", rest.join(" "));
            Ok(())
        }
        ["pwd"] => pwd(),
        ["env" | "set"] => {
            shell.variables.iter().for_each(|(name, value)| println!("{name}={value}"));
            Ok(())
        }
        ["ls"] => ls(".", false),
        ["ls", "-l"] => ls(".", true),
        ["ls", "-l", ref paths @ ..] => paths.iter().try_for_each(|path| ls(path, true)),
        ["ls", ref paths @ ..] => paths.iter().try_for_each(|path| ls(path, false)),
        ["cat"] => copy(0, "-"),
        ["cat", ref files @ ..] => files.iter().try_for_each(|file| {
            let fd = open(file, O_RDONLY)?;
            let outcome = copy(fd, file);
            let _ = sys::close(fd);
            outcome
        }),
        ["ps"] => ps(),
        ["id"] => {
            println!("uid={} gid={}", sys::geteuid(), sys::getegid());
            Ok(())
        }
        ["hostname"] => hostname(),
        ["hostname", name] => sys::sethostname(name.as_bytes()).map_err(|errno| format!("{name}: {errno}")),
        ["sleep", seconds] => sleep(seconds),
        ["mkdir", ref paths @ ..] => each(paths, |path| sys::mkdir(path, 0o777)),
        ["rm", ref paths @ ..] => each(paths, sys::unlink),
        ["rmdir", ref paths @ ..] => each(paths, sys::rmdir),
        ["touch", ref paths @ ..] => each(paths, |path| {
            let fd = sys::openat(AT_FDCWD, path, O_WRONLY | O_CREAT, 0o666)?;
            sys::close(fd)
        }),
        ["kill", ref words @ ..] => kill(words),
        ["mount", ref words @ ..] => mount(words),
        ["umount", path] => each(&[path], |path| sys::umount(path, 0)),
        _ => return None,
    };
    Some(said(words[0], outcome))
}

fn said(name: &str, outcome: Outcome) -> u8 {
    match outcome {
        Ok(()) => 0,
        Err(reason) => {
            print(2, format_args!("{name}: {reason}\n"));
            1
        }
    }
}

fn c_path(path: &str) -> Result<CString, String> {
    CString::new(path).map_err(|_| format!("{path}: {}", Errno::EINVAL))
}

fn each(paths: &[&str], mut action: impl FnMut(&core::ffi::CStr) -> sys::Result) -> Outcome {
    paths.iter().try_for_each(|path| action(&c_path(path)?).map_err(|errno| format!("{path}: {errno}")))
}

fn open(path: &str, flags: u32) -> Result<Fd, String> {
    sys::open(&c_path(path)?, flags).map_err(|errno| format!("{path}: {errno}"))
}

fn cd(to: &str) -> Outcome {
    each(&[to], sys::chdir)
}

fn pwd() -> Outcome {
    let mut buffer = [0; 4096];
    let length = sys::getcwd(&mut buffer).map_err(|errno| format!("{errno}"))?;
    let path = buffer[..length].split(|&byte| byte == 0).next().unwrap_or_default();
    println!("{}", String::from_utf8_lossy(path));
    Ok(())
}

/// The whole of a small file.
fn contents(path: &str) -> Result<Vec<u8>, String> {
    let fd = open(path, O_RDONLY)?;
    let mut all = Vec::new();
    let mut buffer = [0; 1024];
    let outcome = loop {
        match sys::read(fd, &mut buffer) {
            Ok(0) => break Ok(all),
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(errno) => break Err(format!("{path}: {errno}")),
        }
    };
    let _ = sys::close(fd);
    outcome
}

fn copy(from: Fd, name: &str) -> Outcome {
    let mut buffer = vec![0; 4096];
    loop {
        let count = sys::read(from, &mut buffer).map_err(|errno| format!("{name}: {errno}"))?;
        if count == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let written = sys::write(1, rest).map_err(|errno| format!("standard output: {errno}"))?;
            rest = &rest[written..];
        }
    }
}

/// The names in a directory, sorted.
fn names(path: &str) -> Result<Vec<String>, String> {
    let fd = open(path, O_RDONLY | O_DIRECTORY)?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 4096];
    loop {
        let count = sys::getdents(fd, &mut buffer).map_err(|errno| format!("{path}: {errno}"))?;
        if count == 0 {
            break;
        }
        let mut rest = &buffer[..count];
        // struct linux_dirent64: inode, offset (8 bytes each), length (2), type (1), name.
        while let Some(&[low, high]) = rest.get(16..18) {
            let (entry, later) = rest.split_at(usize::from(u16::from_le_bytes([low, high])).clamp(19, rest.len()));
            let name = entry[19..].split(|&byte| byte == 0).next().unwrap_or_default();
            if name != b"." && name != b".." {
                found.push(String::from_utf8_lossy(name).into_owned());
            }
            rest = later;
        }
    }
    let _ = sys::close(fd);
    found.sort();
    Ok(found)
}

fn ls(path: &str, long: bool) -> Outcome {
    let c_path_of = c_path(path)?;
    let status = sys::fstatat(AT_FDCWD, &c_path_of, 0).map_err(|errno| format!("{path}: {errno}"))?;
    let listed = if status.st_mode & S_IFMT == S_IFDIR { names(path)? } else { vec![String::from(path)] };
    for name in listed {
        if !long {
            println!("{name}");
            continue;
        }
        let whole = if name == path { name.clone() } else { format!("{path}/{name}") };
        let whole = c_path(&whole)?;
        let Ok(status) = sys::fstatat(AT_FDCWD, &whole, AT_SYMLINK_NOFOLLOW) else { continue };
        let mut target = [0; 1024];
        let link = if status.st_mode & S_IFMT == S_IFLNK { sys::readlink(&whole, &mut target).ok() } else { None };
        let link = link.map_or(String::new(), |length| format!(" -> {}", String::from_utf8_lossy(&target[..length])));
        println!(
            "{} {:>3} {:>5} {:>5} {:>9} {name}{link}",
            mode(status.st_mode),
            status.st_nlink,
            status.st_uid,
            status.st_gid,
            status.st_size
        );
    }
    Ok(())
}

/// `drwxr-xr-x`
fn mode(bits: u32) -> String {
    let kind = match (bits & S_IFMT) >> 12 {
        1 => 'p',
        2 => 'c',
        4 => 'd',
        6 => 'b',
        10 => 'l',
        12 => 's',
        _ => '-',
    };
    let permissions = (0..9).map(|at| if bits & (0o400 >> at) != 0 { ['r', 'w', 'x'][at % 3] } else { '-' });
    core::iter::once(kind).chain(permissions).collect()
}

fn ps() -> Outcome {
    println!("{:>7} {:>7} S COMMAND", "PID", "PPID");
    for name in names("/proc")? {
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // One that has ended meanwhile is left out.
        let Ok(stat) = contents(&format!("/proc/{name}/stat")) else { continue };
        let stat = String::from_utf8_lossy(&stat).into_owned();
        let Some((before, after)) = stat.rsplit_once(')') else { continue };
        let command = before.split_once('(').map_or("", |(_, command)| command);
        let mut fields = after.split_whitespace();
        let (state, parent) = (fields.next().unwrap_or("?"), fields.next().unwrap_or("?"));
        let line = contents(&format!("/proc/{name}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let shown = if line.trim().is_empty() { format!("[{command}]") } else { line };
        println!("{name:>7} {parent:>7} {state} {}", shown.trim_end());
    }
    Ok(())
}

fn hostname() -> Outcome {
    let names = sys::uname().map_err(|errno| format!("{errno}"))?;
    println!("{}", sys::text_of(&names.nodename));
    Ok(())
}

fn sleep(seconds: &str) -> Outcome {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    let digits: String = part.chars().chain("000000000".chars()).take(9).collect();
    match (whole.parse::<u64>(), digits.parse::<u64>()) {
        (Ok(whole), Ok(part)) => {
            let nanoseconds = whole.saturating_mul(1_000_000_000).saturating_add(part);
            sys::sleep(nanoseconds).map_err(|errno| format!("{errno}"))
        }
        _ => Err(format!("{seconds}: not a number of seconds")),
    }
}

fn kill(words: &[&str]) -> Outcome {
    let (signal, pids) = match words {
        [first, rest @ ..] if first.starts_with('-') && !rest.is_empty() => (&first[1..], rest),
        _ => ("TERM", words),
    };
    let signal: Signal = signal.parse().map_err(|_| format!("{signal}: not a signal"))?;
    pids.iter().try_for_each(|pid| {
        let number = pid.parse().map_err(|_| format!("{pid}: not a process"))?;
        sys::kill(number, signal.number()).map_err(|errno| format!("{pid}: {errno}"))
    })
}

fn mount(words: &[&str]) -> Outcome {
    let (mut kind, mut options) = ("", "");
    let mut rest = words;
    while let [flag @ ("-t" | "-o"), value, after @ ..] = rest {
        *(if *flag == "-t" { &mut kind } else { &mut options }) = value;
        rest = after;
    }
    let [what, place] = rest else {
        print(1, format_args!("{}", String::from_utf8_lossy(&contents("/proc/mounts")?)));
        return Ok(());
    };
    let mut flags = 0;
    let mut data = Vec::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "bind" => flags |= MS_BIND,
            "ro" => flags |= MS_RDONLY,
            "remount" => flags |= MS_REMOUNT,
            other => data.push(other),
        }
    }
    let data = c_path(&data.join(","))?;
    let data = (!data.is_empty()).then_some(data.as_c_str());
    sys::mount(&c_path(what)?, &c_path(place)?, &c_path(kind)?, flags, data)
        .map_err(|errno| format!("{place}: {errno}"))
}
