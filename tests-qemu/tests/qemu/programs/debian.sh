# Debian's own programs, dynamically linked with its C library, in its own tree.
cd /tmp || exit 1
mkdir -p /mnt
export TERM=linux
for directory in $(seq 0 9); do
    mkdir -p "tree/d$directory"
    for file in $(seq 0 9); do
        echo "line $directory $file" >"tree/d$directory/f$file"
    done
done

like "the linker tells its libraries" "*libc.so.6 => /*libc.so.6 (0x*" 'ldd /usr/bin/bash'
is "the release" "Debian GNU/Linux 13 (trixie)" '. /etc/os-release; echo "$PRETTY_NAME"'
is "dpkg knows what it is" "ii  bash" 'dpkg -l bash | tail -n 1 | cut -c1-8'
is "dpkg lists all that is installed" "0" 'dpkg -l | tail -n +6 | grep -vc "^ii "'
is "dpkg tells an installed version" "install ok installed" "dpkg-query -W -f '\${Status}' coreutils"
is "dpkg compares versions" 0 'dpkg --compare-versions 1.10 gt 1.9; echo $?'

is "bash expands" "a1 a2 b1 b2 CAPS 3 x-y" "bash -c 'v=caps; w=(p q r); u=x.y; echo {a,b}{1,2} \${v^^} \${#w[@]} \${u/./-}'"
is "bash counts and compares" "42 yes" "bash -c 'i=6; ((i *= 7)); [[ \$i =~ ^4.\$ ]] && echo \$i yes'"
is "bash substitutes processes" "< c
> d" "bash -c 'diff <(printf \"a\nc\n\") <(printf \"a\nd\n\")' | grep '[<>]'"
is "bash keeps a coprocess" "TO UPPER" "bash -c 'coproc tr a-z A-Z; exec {out}<&\${COPROC[0]}; echo to upper >&\${COPROC[1]}; exec {COPROC[1]}>&-; cat <&\$out'"
is "bash tells how a pipe ended" "3 0 5" "bash -c '(exit 3) | true | (exit 5); echo \${PIPESTATUS[@]}'"
is "bash traps signals" "got TERM" "bash -c 'trap \"echo got TERM; exit\" TERM; kill \$\$; sleep 10'"
# Not before it waits: what ended earlier is forgotten.
is "bash waits for the first that ends" "7" "bash -c 'sleep 20 & (until grep -q ^State:.S /proc/\$\$/status; do :; done; exit 7) & wait -n; echo \$?; kill %1'"
is "bash reads with a limit of time" "142" "bash -c 'read -t 0.2 x < <(sleep 50); echo \$?; kill \$!'"
is "bash connects to a port of its own" "refused" "bash -c 'echo >/dev/tcp/127.0.0.1/9 && echo open' 2>&1 | grep -o refused | head -n 1"
is "bash's jobs" "[1]+  Stopped                 sleep 30" "setsid bash -c 'set -m; sleep 30 & kill -STOP %1; until grep -q ^State:.T /proc/\$!/status; do :; done; jobs; kill -KILL %1' 2>/dev/null"
is "dash" "dash 1" "dash -c 'echo dash \$((3 > 2))'"

is "ls sorts and marks" "d0/ d1/ d2/ d3/ d4/ d5/ d6/ d7/ d8/ d9/" 'ls -F tree | tr "\n" " " | sed "s/ $//"'
like "ls -l" "-rw-r--r-- 1 root root 9 *tree/d0/f0" 'ls -l tree/d0/f0'
is "cp --reflink=auto copies all" "" 'cp -a --reflink=auto tree copy; diff -r tree copy'
is "cp keeps holes" "yes" 'truncate -s 1M hole; cp --sparse=always hole hole2; [ $(stat -c %b hole2) -lt 64 ] && echo yes'
is "mv does not clobber" "one" 'echo one >n1; echo two >n2; mv -n n2 n1; cat n1'
is "install" "-rwxr-x--- copy" 'install -D -m 750 n1 made/deep/copy; stat -c "%A copy" made/deep/copy'
is "sort in parallel" "100000" 'seq 100000 | sort -R | sort -n --parallel=4 -S 1M | tail -n 1'
is "shuf, uniq, comm, join, paste" "1 a	1
2 b	2" 'printf "1 a\n2 b\n" >j1; printf "1\n2\n" >j2; join j1 j2 | paste - j2'
is "split and cat" "" 'seq 10000 >all; split -n 7 all part.; cat part.* | cmp - all'
is "sha256sum of a known text" "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -" 'printf abc | sha256sum'
is "md5sum checks" "all: OK" 'md5sum all >sum; md5sum -c sum'
is "b2sum, cksum" "1219131554 3" 'printf abc | b2sum >/dev/null && printf abc | cksum' 
is "dd counts" "3+0 records in" 'dd if=/dev/zero of=zeros bs=1k count=3 2>&1 | head -n 1'
is "dd of sparse blocks" "0" 'dd if=/dev/zero of=sparse bs=64k count=4 conv=sparse 2>/dev/null; stat -c %b sparse'
is "stat of the file system" "tmpfs" 'stat -f -c %T /tmp'
is "date counts days" "2000-03-01" 'date -u -d "2000-02-28 +2 days" +%F'
is "timeout kills" "124" 'timeout 0.2 sleep 10; echo $?'
is "env -S, nohup, nice" "5" "nice -n 5 nice"
is "stdbuf" "3" "stdbuf -oL seq 3 | tail -n 1"
is "tee to several" "x x" 'echo x | tee t1 >t2; echo $(cat t1 t2)'
is "realpath, basename, dirname" "/tmp/tree tree /tmp" 'echo $(realpath tree/../tree) $(basename /tmp/tree) $(dirname /tmp/tree)'
is "numfmt, factor" "1.0K 1024: 2 2 2 2 2 2 2 2 2 2" 'echo $(numfmt --to=iec 1024) $(factor 1024)'
is "who is who" "root root 0" 'echo $(whoami) $(id -un) $(id -g)'
is "chroot runs as another" "65534:65534" 'chroot --userspec=65534:65534 / sh -c "echo \$(id -u):\$(id -g)"'
is "mktemp" "drwx------" 'stat -c %A $(mktemp -d)'
is "rm asks for what is protected" "" 'rm -rf copy; ls -d copy 2>/dev/null'

is "find by time and kind" "100" 'find tree -type f -newermt 2000-01-01 | wc -l'
is "find -exec +" "100" 'find tree -type f -exec cat {} + | wc -l'
is "find -printf" "9 f f3" 'find tree/d3/f3 -printf "%s %y %f"'
is "find -delete" "0" 'cp -r tree gone; find gone -delete; ls -d gone 2>/dev/null | wc -l'
is "xargs in parallel" "100" 'find tree -type f -print0 | xargs -0 -n 5 -P 4 cat | wc -l'
is "grep -P" "line 7 3" 'grep -rhoP "line (?=7 3).*" tree'
is "grep -c of a large file" "20800" 'seq 100000 | grep -cE "^[0-9]*(7|33)[0-9]?$"'
is "grep in binaries" "grep: (standard input): binary file matches" 'printf "a\0b\n" | grep b'
is "sed in place" "row 3 4" 'cp tree/d3/f4 e; sed -i.old "s/line/row/" e; cat e'
is "sed with hold space" "c b a" 'printf "a\nb\nc\n" | sed -n "1!G;h;\$p" | paste -sd" "'
is "mawk" "4950" 'seq 0 99 | awk "{ s += \$1 } END { print s }"'
is "tar packs and unpacks with attributes" "" 'tar --xattrs -cf t.tar tree; mkdir out; tar -xf t.tar -C out; diff -r tree out/tree'
is "tar through gzip" "111" 'tar -czf t.tgz tree; tar -tzf t.tgz | wc -l'
is "tar keeps holes" "yes" 'tar -Scf h.tar hole; rm hole; tar -xf h.tar; [ $(stat -c %b hole) -lt 64 ] && [ $(stat -c %s hole) = 1048576 ] && echo yes'
is "gzip at its best" "" 'gzip -9k all; gzip -dc all.gz | cmp - all'
is "zgrep" "7777" 'zgrep -x 7777 all.gz'
is "diff -u" "-line 3 4
+row 3 4" 'diff -u tree/d3/f4 e | tail -n 2'
is "cmp tells where" "e tree/d3/f4 differ: byte 1, line 1" 'cmp e tree/d3/f4'

is "perl matches" "b=2 a=1" 'perl -e "\$_ = \"a=1,b=2\"; print join \" \", reverse /\w=\d/g"'
is "perl edits in place" "ROW 3 4" 'perl -pi -e "s/row/ROW/" e; cat e'
is "perl forks and pipes" "from the child, 3" "perl -e 'pipe R, W; if (!fork) { print W \"from the child\"; exit 3 } close W; print <R>; wait; print \", \", \$? >> 8'"
is "perl's sockets" "echoed" "perl -MIO::Socket::INET -e '\$l = IO::Socket::INET->new(Listen => 1, LocalAddr => \"127.0.0.1\"); if (!fork) { \$c = \$l->accept; print \$c scalar <\$c>; exit } \$s = IO::Socket::INET->new(PeerAddr => \"127.0.0.1\", PeerPort => \$l->sockport); print \$s \"echoed\\n\"; print scalar <\$s>'"
is "perl waits with select and alarm" "alarmed" "perl -e '\$SIG{ALRM} = sub { print \"alarmed\"; exit }; alarm 1; select undef, undef, undef, 20'"
is "perl sorts a hundred thousand" "100000" 'seq 100000 | perl -e "print ((sort { \$b <=> \$a } <>)[0])"'
is "perl's modules" "7 /usr/bin" 'perl -MList::Util=max -MFile::Basename -e "print max(3, 7, 5), q( ), dirname(q(/usr/bin/perl))"'

like "ps" "*PID*COMMAND*1 bash*ps*" 'ps -eo pid,comm'
is "ps of a sleeper" "S sleep" 'sleep 30 & await $! S sleep; ps -o state=,comm= -p $! ; kill $!'
like "top" "*Tasks:*total*Mem*bash*" 'top -b -n 1 -w 120'
like "free" "*total*used*Mem:*Swap:*" 'free -m'
like "vmstat" "*procs*memory*swap*" 'vmstat'
is "pgrep and pkill" "1" 'sleep 31 & await $! S sleep; pgrep -fxc "sleep 31"; pkill -f "sleep 31"'
is "uptime -p" "up" 'uptime -p | cut -c1-2'
is "lscpu" "CPU(s):" 'lscpu | grep -o "^CPU(s):"'
is "mount" "tmpfs /mnt tmpfs" 'mount -t tmpfs tmpfs /mnt; findmnt -nro SOURCE,TARGET,FSTYPE /mnt; umount /mnt'
is "mount by the new calls or the old" "ro" 'mount -t tmpfs -o size=1M tmpfs /mnt; mount -o remount,ro /mnt; findmnt -nro OPTIONS /mnt | cut -c1-2; umount /mnt'
is "flock" "locked" 'flock -n lock sh -c "flock -n lock true || echo locked"'
is "unshare" "1 own" 'unshare -pfm --mount-proc sh -c "hostname=own; echo \$\$ \$hostname"'
is "unshare -r maps the root" "0 0" 'unshare -Ur sh -c "echo \$(id -u) \$(id -g)"'
is "prlimit" "100" "prlimit --nofile=100 sh -c 'ulimit -n'"
is "setpriv drops rights" "1000 1000" "setpriv --reuid=1000 --regid=1000 --clear-groups sh -c 'echo \$(id -u) \$(id -g)'"
is "taskset" "1" "taskset 1 nproc"
is "chrt" "SCHED_OTHER" 'chrt -p $$ | grep -o SCHED_OTHER'
is "ipcs" "1" 'q=$(ipcmk -Q | grep -o "[0-9]*$"); ipcs -q | grep -c " $q "; ipcrm -q $q'
is "getent" "root:*:0:0:root:/root:/bin/bash" 'getent passwd root'
is "iconv" "c3a4" 'printf "\344" | iconv -f latin1 -t utf8 | od -An -tx1 | tr -d " "'
is "locale" "UTF-8" 'LC_ALL=C.UTF-8 locale charmap'
