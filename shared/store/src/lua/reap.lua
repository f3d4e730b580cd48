-- ARGV: lease_ms max_attempts retention_s error kinds…
-- Gives jobs whose worker is silent back to the queue. An entry is taken off
-- and a new one made at the next start, so an entry never changes its worker
-- and XACK = 1 is the fence. Nothing is done while the server is younger than a
-- lease: silence may be the server's own. Answers what was reaped.
local lease = tonumber(ARGV[1])
local uptime = tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)'))
if not uptime or (uptime - 1) * 1000 < lease then
  return {}
end
local now = now_ms()
local reaped = {}
for i = 5, #ARGV do
  for _, priority in ipairs(PRIORITIES) do
    local queue = queue_key(ARGV[i], priority)
    local idle = {}
    if redis.call('EXISTS', queue) == 1 then
      idle = redis.pcall('XPENDING', queue, GROUP, 'IDLE', int(lease), '-', '+', 100)
    end
    for _, pending in ipairs(idle.err and {} or idle) do
      local entry = pending[1]
      local found = redis.call('XRANGE', queue, entry, entry)
      redis.call('XACK', queue, GROUP, entry)
      redis.call('XDEL', queue, entry)
      forget_consumer(queue, pending[2])
      if found[1] then
        local id = found[1][2][2]
        local r = redis.call('HMGET', job_key(id), 'status', 'entry')
        if r[1] == 'running' and r[2] == entry then
          redis.call('HDEL', job_key(id), 'entry')
          local to = fail_attempt(id, 'running', ARGV[4], 0, 0, tonumber(ARGV[2]), now, ARGV[3])
          reaped[#reaped + 1] = { id, to }
        end
      end
    end
  end
end
return reaped
