# A tree of ten thousand files, and the programs that people use on such.
cd /tmp || exit 1
for directory in $(seq 0 99); do
    mkdir -p "tree/d$directory"
    for file in $(seq 0 99); do
        echo "line $directory $file" >"tree/d$directory/f$file"
    done
done

is "find counts files" 10000 'find tree -type f | wc -l'
is "find counts directories" 101 'find tree -type d | wc -l'
is "find looks at names" "tree/d42/f7" 'find tree -path "*/d42/*" -name f7'
is "find looks at sizes" 100 'find tree -type f -size -10c | wc -l' 
is "find runs a program for each" "line 1 1" 'find tree/d1 -name f1 -exec cat {} \;'
is "xargs gives files to grep" 100 'find tree -name f5 | xargs grep -l "line" | wc -l'
is "grep searches below a directory" "tree/d77/f88:line 77 88" 'grep -r "line 77 88" tree'
is "grep counts" 1000 'cat tree/d*/f* | grep -c "7$"'
is "sed edits a stream" "LINE 3 4" 'sed "s/line/LINE/" tree/d3/f4'
is "sed edits a file in place" "row 3 4" 'cp tree/d3/f4 e; sed -i s/line/row/ e; cat e'
is "awk adds up" 495000 'cat tree/d*/f* | awk "{ sum += \$2 } END { print sum }"'
is "awk formats" "00042|ab" 'echo 42 ab | awk "{ printf \"%05d|%s\n\", \$1, \$2 }"'
is "sort sorts by numbers" "line 99 99" 'cat tree/d*/f* | sort -k 2,2n -k 3,3n | tail -n 1'
is "sort and uniq count" 100 'cat tree/d*/f* | cut -d" " -f2 | sort | uniq -c | wc -l'
is "sort reads back its own order" "" 'cat tree/d*/f* | sort >sorted; sort -c sorted'
is "sha256sum of a known text" "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -" \
    'printf abc | sha256sum'
is "sha256sum checks ten thousand files" 10000 'find tree -type f | sort | xargs sha256sum >sums; sha256sum -c sums | grep -c ": OK$"'

ends "tar packs" 0 'tar cf tree.tar tree'
is "tar lists" 10101 'tar tf tree.tar | wc -l'
ends "tar unpacks" 0 'mkdir other && tar xf tree.tar -C other'
ends "diff finds no difference" 0 'diff -r tree other/tree'
is "diff finds one" "1" 'echo changed >other/tree/d9/f9; diff -rq tree other/tree | wc -l'
ends "gzip packs" 0 'gzip -k tree.tar'
ends "gzip unpacks to the same" 0 'gzip -dc tree.tar.gz | cmp - tree.tar'
is "tar packs and gzip compresses in a pipe" 10101 'tar czf - tree | tar tzf - | wc -l'
ends "bzip2 and back" 0 'bzip2 -kc sorted | bunzip2 -c | cmp - sorted'
is "cpio copies out and in" 10000 'mkdir in; find tree | cpio -o -H newc 2>/dev/null >tree.cpio; (cd in && cpio -id <../tree.cpio 2>/dev/null); find in -type f | wc -l'

is "diff writes a patch" "-line 3 4
+row 3 4" 'cp tree/d3/f4 a; cp e b; diff -u a b >p; tail -n 2 p'
is "patch applies it" "row 3 4" 'patch a <p >/dev/null; cat a'
ends "patch made both the same" 0 'cmp a b'
is "vi edits by commands" "column 3 4" "vi -c ':%s/row/column/' -c ':wq' a >/dev/null 2>&1 </dev/null; cat a"

is "dd copies blocks" 102400 'dd if=/dev/zero of=zeros bs=1k count=100 2>/dev/null; wc -c <zeros'
is "dd writes at a place" "0000000 0000 0000 6261
0000006" 'printf ab | dd of=hole bs=1 seek=4 2>/dev/null; od -x hole'
is "stat tells" "regular file 644 1 102400" 'stat -c "%F %a %h %s" zeros'
is "ln links" "3 3" 'echo x >one; ln one two; ln one three; stat -c %h one two three | sort -u | tr "\n" " "; stat -c %h three'
is "ln -s links by name" "one" 'ln -s one soft; readlink soft'
is "readlink follows" "/tmp/one" 'readlink -f soft'
is "chmod" "-rwsr-x--x" 'chmod 4751 one; stat -c %A one'
is "chown" "5:6" 'chown 5:6 one; stat -c %u:%g one'
is "umask" "-rw-------" 'umask 077; : >private; stat -c %A private'
is "mkfifo" "through" 'mkfifo fifo; echo through >fifo & cat fifo'
is "mknod" "character special file 1 3" 'mknod null c 1 3; stat -c "%F %t %T" null'
is "touch sets times" "2001-02-03 04:05:06" 'touch -d "2001-02-03 04:05:06" one; date -r one "+%Y-%m-%d %H:%M:%S"'
is "mv moves directories" "100" 'mv tree/d50 moved; ls moved | wc -l'
is "cp -a keeps what it copies" "soft one" 'mkdir from; ln -s one from/soft; cp -a from to; echo "$(ls to) $(readlink to/soft)"'
is "du adds up" "100	zeros" 'du -k zeros'
is "truncate" "5" 'truncate -s 5 zeros; wc -c <zeros'
is "cut, tr, head, tail, rev" "C" 'echo "a b c" | cut -d" " -f3 | tr a-z A-Z | head -n 1 | tail -n 1 | rev'
is "base64 and back" "text" 'echo text | base64 | base64 -d'
is "xxd" "00000000: 6162 630a                                abc." 'echo abc | xxd'
is "here-documents" "a \$b
c" "cat <<'END'
a \$b
c
END"
is "a loop over a pipe" "6" 'sum=0; seq 3 | { while read -r n; do sum=$((sum + n)); done; echo $sum; }'
is "redirections" "out err" '{ echo out; echo err >&2; } 2>errors >output; echo "$(cat output) $(cat errors)"'
is "rm takes all down" "" 'rm -rf tree other in; ls -d tree other in 2>/dev/null'
