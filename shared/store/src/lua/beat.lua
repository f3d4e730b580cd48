-- ARGV: worker info lease_ms slots_count (kind slots)… (kind priority entry id)…
-- Renews the worker's registration and its running jobs' leases. For each job:
-- 'lost', 'cancel' or 'ok'.
local worker, lease = ARGV[1], tonumber(ARGV[3])
local now = now_ms()
local key = 'il:worker:' .. worker
redis.call('HSET', key, 'info', ARGV[2])
local i = 5
for _ = 1, tonumber(ARGV[4]) do
  redis.call('HSET', key, 'slots:' .. ARGV[i], ARGV[i + 1])
  i = i + 2
end
redis.call('PEXPIRE', key, int(lease))
-- The score is when the registration ends.
redis.call('ZADD', 'il:workers', int(now + lease), worker)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', 'il:workers', '-inf', int(now - 1), 'LIMIT', 0, 100)) do
  redis.call('ZREM', 'il:workers', gone)
  redis.call('HDEL', 'il:turn', 'kinds:' .. gone)
end
local answers = {}
while i + 3 <= #ARGV do
  local kind, priority, entry, id = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local queue = queue_key(kind, priority)
  local held = {}
  if redis.call('EXISTS', queue) == 1 then
    held = redis.pcall('XCLAIM', queue, GROUP, worker, 0, entry, 'IDLE', 0, 'JUSTID')
  end
  if held.err or #held == 0 then
    answers[#answers + 1] = 'lost'
  elseif redis.call('HEXISTS', job_key(id), 'cancel') == 1 then
    answers[#answers + 1] = 'cancel'
  else
    answers[#answers + 1] = 'ok'
  end
  i = i + 4
end
return answers
