import sys
f = sys.stdin.buffer
exec(compile(f.read(int(f.readline())), "runner", "exec"))
