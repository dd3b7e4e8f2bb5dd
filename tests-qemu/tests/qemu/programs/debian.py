"""Debian's python3: threads, processes, sockets, files and what they stand on. Prints a line for each check."""

import asyncio
import concurrent.futures
import contextlib
import ctypes
import fcntl
import mmap
import multiprocessing
import os
import pty
import queue
import select
import selectors
import shutil
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

CHECKS = []


def check(expected):
    """A function that is to return what is expected."""

    def add(function):
        CHECKS.append((function, expected))
        return function

    return add


@check("8 threads: 8000")
def threads_count_under_a_lock():
    lock, count = threading.Lock(), 0

    def add():
        nonlocal count
        for _ in range(1000):
            with lock:
                count += 1

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return f"8 threads: {count}"


@check([i * i for i in range(100)])
def threads_of_a_pool():
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        return list(pool.map(lambda x: x * x, range(100)))


@check((499500, True))
def threads_and_a_queue():
    items, sums = queue.Queue(10), []
    thread = threading.Thread(target=lambda: sums.append(sum(iter(items.get, None))))
    thread.start()
    for i in range(1000):
        items.put(i)
    items.put(None)
    thread.join()
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    return sums[0], event.wait(20)


@check((0, "out\n", "err\n"))
def subprocess_gives_both_outputs():
    run = subprocess.run("echo out; echo err >&2", shell=True, capture_output=True, text=True)
    return run.returncode, run.stdout, run.stderr


@check(("HELLO", 1 << 20, -15, "TimeoutExpired", "FileNotFoundError"))
def subprocess_feeds_ends_and_fails():
    fed = subprocess.run(["tr", "a-z", "A-Z"], input="hello", capture_output=True, text=True).stdout
    large = len(subprocess.run(["cat"], input=b"x" * (1 << 20), capture_output=True).stdout)
    sleeper = subprocess.Popen(["sleep", "100"])
    sleeper.terminate()
    errors = []
    for command in (["sleep", "100"], ["/absent"]):
        try:
            subprocess.run(command, timeout=0.2)
        except (subprocess.TimeoutExpired, OSError) as error:
            errors.append(type(error).__name__)
    return fed, large, sleeper.wait(), *errors


@check("sub new group: True /usr")
def subprocess_of_another_session():
    run = subprocess.run(
        [sys.executable, "-c", "import os; print('sub new group:', os.getpid() == os.getsid(0), os.getcwd())"],
        start_new_session=True, cwd="/usr", capture_output=True, text=True, pass_fds=())
    return run.stdout.strip()


def square(x):
    return x * x


def put_square(to, x):
    to.put(x * x)


def add_one(value, times):
    for _ in range(times):
        with value.get_lock():
            value.value += 1


def with_processes(method):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        squares = pool.map(square, range(20))
    results = context.Queue()
    process = context.Process(target=put_square, args=(results, 12))
    process.start()
    result = results.get()
    process.join()
    value = context.Value("i", 0)
    adders = [context.Process(target=add_one, args=(value, 100)) for _ in range(2)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    return sum(squares), result, process.exitcode, value.value


@check((2470, 144, 0, 200))
def multiprocessing_by_fork():
    return with_processes("fork")


@check((2470, 144, 0, 200))
def multiprocessing_by_spawn():
    return with_processes("spawn")


@check((2470, 144, 0, 200))
def multiprocessing_by_a_server_of_forks():
    return with_processes("forkserver")


@check({"key": [1, 2, 3]})
def multiprocessing_by_a_manager():
    with multiprocessing.get_context("fork").Manager() as manager:
        shared = manager.dict()
        shared["key"] = [1, 2, 3]
        return dict(shared)


@check((b"over shared memory", [0, 1, 4, 9]))
def multiprocessing_over_shared_memory_and_executors():
    from multiprocessing import shared_memory

    memory = shared_memory.SharedMemory(create=True, size=4096)
    try:
        memory.buf[:18] = b"over shared memory"
        other = shared_memory.SharedMemory(memory.name)
        seen = bytes(other.buf[:18])
        other.close()
    finally:
        memory.close()
        memory.unlink()
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        return seen, list(pool.map(square, range(4)))


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline().upper())


@check([b"LINE 0\n", b"LINE 1\n", b"LINE 2\n"])
def sockets_of_a_threaded_server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever).start()
        answers = []
        for i in range(3):
            with socket.create_connection(server.server_address) as client:
                client.sendall(b"line %d\n" % i)
                answers.append(client.makefile("rb").readline())
        server.shutdown()
    return answers


@check((b"datagram", b"passed on", "timed out", "ConnectionRefusedError"))
def sockets_of_other_kinds():
    receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    receiver.bind(("127.0.0.1", 0))
    sender.sendto(b"datagram", receiver.getsockname())
    datagram = receiver.recv(100)
    one, other = socket.socketpair()
    with tempfile.TemporaryFile() as file:
        file.write(b"passed on")
        socket.send_fds(one, [b"x"], [file.fileno()])
    _, (descriptor,), _, _ = socket.recv_fds(other, 1, 1)
    passed = os.pread(descriptor, 100, 0)
    one.settimeout(0.1)
    errors = []
    try:
        one.recv(1)
    except TimeoutError as error:
        errors.append(str(error))
    try:
        socket.create_connection(("127.0.0.1", 1))
    except OSError as error:
        errors.append(type(error).__name__)
    return datagram, passed, *errors


@check(("tcp 200 <p>page", "HTTP/1.0 404"))
def http_server_and_client():
    import http.server
    import urllib.error
    import urllib.request

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        with open("page.html", "w") as page:
            page.write("<p>page")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
            threading.Thread(target=server.serve_forever).start()
            url = f"http://127.0.0.1:{server.server_port}"
            with urllib.request.urlopen(f"{url}/page.html") as answer:
                found = f"tcp {answer.status} {answer.read().decode()}"
            try:
                urllib.request.urlopen(f"{url}/absent")
            except urllib.error.HTTPError as error:
                absent = f"HTTP/1.0 {error.code}"
            server.shutdown()
    return found, absent


@check((["a", "b", "c"], b"echo: hello\n", "out", "TimeoutError"))
def asyncio_runs_tasks_streams_and_processes():
    async def main():
        order = []

        async def say(name, delay):
            await asyncio.sleep(delay)
            order.append(name)

        await asyncio.gather(say("c", 0.3), say("a", 0.0), say("b", 0.15))

        async def serve(reader, writer):
            writer.write(b"echo: " + await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        answer = await reader.readline()
        writer.close()
        server.close()
        process = await asyncio.create_subprocess_exec("echo", "out", stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        try:
            await asyncio.wait_for(asyncio.sleep(100), 0.1)
        except TimeoutError as error:
            late = type(error).__name__
        return order, answer, out.decode().strip(), late

    return asyncio.run(main())


@check((1000, 499500, "wal", ["row 7"], "ok", "database is locked"))
def sqlite_on_a_tmpfs():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "base.db")
        base = sqlite3.connect(path, isolation_level=None)
        base.execute("create table numbers(n integer primary key, text)")
        base.execute("begin")
        base.executemany("insert into numbers values(?, ?)", ((n, f"row {n}") for n in range(1000)))
        base.execute("commit")
        count, total = base.execute("select count(*), sum(n) from numbers").fetchone()
        (mode,) = base.execute("pragma journal_mode=wal").fetchone()
        other = sqlite3.connect(path, timeout=0.1, isolation_level=None)
        row = [text for (text,) in other.execute("select text from numbers where n=7")]
        base.execute("begin immediate")
        try:
            other.execute("insert into numbers values(5000, 'late')")
            locked = "no error"
        except sqlite3.OperationalError as error:
            locked = str(error)
        base.execute("rollback")
        (whole,) = base.execute("pragma integrity_check").fetchone()
        other.close()
        base.close()
        return count, total, mode, row, whole, locked


@check([signal.SIGUSR1, signal.SIGALRM, signal.SIGCHLD])
def signals_run_handlers():
    got = []
    before = {number: signal.signal(number, lambda number, _: number in got or got.append(signal.Signals(number)))
              for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGCHLD)}
    signal.raise_signal(signal.SIGUSR1)
    # Again and again: the first may come before the pause.
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)
    child = os.fork()
    if child == 0:
        os._exit(0)
    while len(got) < 3:
        time.sleep(0.01)
    os.waitpid(child, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    return got


@check(("KeyboardInterrupt", {signal.SIGTERM}, "timed out: None"))
def signals_interrupt_and_wait():
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        time.sleep(100)
        what = "slept"
    except KeyboardInterrupt:
        what = "KeyboardInterrupt"
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    # For this thread: one that is about to end could get what is for all.
    signal.raise_signal(signal.SIGTERM)
    pending = signal.sigpending()
    signal.sigwait({signal.SIGTERM})
    late = signal.sigtimedwait({signal.SIGTERM}, 0.05)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return what, set(pending), f"timed out: {late}"


@check((["EpollSelector", "read"], b"a", [(4, 5)]))
def selectors_poll_and_epoll():
    chosen = selectors.DefaultSelector()
    reader, writer = os.pipe()
    chosen.register(reader, selectors.EVENT_READ, "read")
    os.write(writer, b"a")
    ((key, _),) = chosen.select(20)
    seen = [type(chosen).__name__, key.data]
    chosen.close()
    poll = select.poll()
    poll.register(writer, select.POLLOUT | select.POLLIN)
    byte = os.read(reader, 1)
    os.close(reader)
    events = [(4, event & ~select.POLLERR | 1) for _, event in poll.poll(20)]
    os.close(writer)
    return seen, byte, events


@check((b"mapped", b"changed in the child", 3, True))
def files_are_mapped_locked_and_copied():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"mapped" + bytes(4090))
        file.flush()
        with mmap.mmap(file.fileno(), 4096) as memory:
            begin = memory[:6]
            if os.fork() == 0:
                memory[:20] = b"changed in the child"
                os._exit(0)
            os.wait()
            changed = memory[:20]
        fcntl.lockf(file, fcntl.LOCK_EX)
        if os.fork() == 0:
            try:
                with open(file.name, "r+b") as again:
                    fcntl.lockf(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os._exit(0)
            except BlockingIOError:
                os._exit(3)
        _, status = os.wait()
        copy = shutil.copy2(file.name, file.name + ".copy")
        same = os.stat(copy).st_mtime_ns == os.stat(file.name).st_mtime_ns
        os.unlink(copy)
        return begin, changed, os.waitstatus_to_exitcode(status), same


@check(("memfd:name (deleted)", 5, b"hello", ["user.key"], b"value"))
def files_of_other_kinds():
    memory = os.memfd_create("name")
    os.write(memory, b"hello")
    name = os.readlink(f"/proc/self/fd/{memory}").lstrip("/")
    with tempfile.NamedTemporaryFile() as file:
        sent = os.sendfile(file.fileno(), memory, 0, 5)
        os.setxattr(file.name, "user.key", b"value")
        return name, sent, os.pread(file.fileno(), 9, 0), os.listxattr(file.name), os.getxattr(file.name, "user.key")


@check(("True (24, 80)", b"typed\r\n"))
def terminals():
    import termios

    child, master = pty.fork()
    if child == 0:
        try:
            fcntl.ioctl(0, termios.TIOCSWINSZ, b"\x18\x00\x50\x00\0\0\0\0")
            print(os.isatty(0), os.get_terminal_size(0)[::-1])
            sys.stdout.flush()
            os._exit(0)
        finally:
            os._exit(1)
    text = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 1000):
            text += data
    os.waitpid(child, 0)
    os.close(master)
    master, slave = pty.openpty()
    os.write(master, b"typed\n")
    echo = os.read(master, 100)
    os.close(master)
    os.close(slave)
    return text.decode().strip(), echo


@check((b"linux", 0, "FileNotFoundError: 2", True))
def ctypes_calls_the_c_library():
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(b"Linux")
    libc.qsort(buffer, 0, 1, None)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
    libc.qsort(buffer, 1, 1, compare(lambda a, b: 0))
    libc.open(b"/absent", 0)
    error = OSError(ctypes.get_errno(), "")
    return (buffer.value.lower(), libc.getpid() - os.getpid(), f"{type(error).__name__}: {error.errno}",
            ctypes.c_int.in_dll(libc, "optind").value >= 0)


@check(1000)
def processes_by_the_hundred():
    total = 0
    for _ in range(10):
        children = []
        for _ in range(20):
            child = os.fork()
            if child == 0:
                os._exit(5)
            children.append(child)
        for child in children:
            total += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return total


@check(("pidfd 7", True))
def processes_by_descriptors_and_clocks():
    child = os.fork()
    if child == 0:
        time.sleep(0.05)
        os._exit(7)
    descriptor = os.pidfd_open(child)
    select.select([descriptor], [], [])
    status = os.waitid(os.P_PIDFD, descriptor, os.WEXITED).si_status
    os.close(descriptor)
    start = time.monotonic()
    time.sleep(0.05)
    return f"pidfd {status}", 0.05 <= time.monotonic() - start < 20 and time.process_time() > 0


def main():
    failed = []
    wanted = [check for check in CHECKS if not sys.argv[1:] or check[0].__name__ in sys.argv[1:]]
    for function, expected in wanted:
        name = function.__name__.replace("_", " ")
        try:
            got = function()
        except Exception as error:
            import traceback

            traceback.print_exc()
            got = error
        if got == expected:
            print(f"ok: python3: {name}", flush=True)
        else:
            failed.append(f"FAIL: python3: {name}: got <{got!r}>")
            print(failed[-1], flush=True)
    if failed:
        # Again, where a log that was cut short shows them.
        print(f"python3: {len(failed)} of {len(wanted)} checks FAILED:", *failed, sep="\n")
        sys.exit(1)
    print(f"python3: PASS: {len(wanted)} checks")


if __name__ == "__main__":
    main()
