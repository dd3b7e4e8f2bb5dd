#!/bin/sh
# pivot_root(2), and so every runtime, needs a root that can be left, which the initrd's own is not.
mount -t tmpfs -o mode=755,size=90% tmpfs /new
for name in /*; do
    [ "$name" = /new ] || cp -a "$name" /new/
done
exec switch_root /new /bin/sh /etc/begin
