-- ARGV: id kind owner priority title created status attempt tries sequence
--       progress worker error thumbnail tools started finished idempotency
--       fingerprint idempotency_ttl_s keys…
-- Puts back what S3 knows of a job, unless Redis knows it. An unfinished one is
-- queued. Answers 1 if something was put back.
local id, kind, owner, priority, status = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[7]
local key = job_key(id)
if redis.call('EXISTS', key) == 1 then
  return 0
end
redis.call('HSET', key, 'kind', kind, 'owner', owner, 'priority', priority, 'title', ARGV[5],
  'created', ARGV[6], 'attempt', ARGV[8], 'tries', ARGV[9], 'sequence', ARGV[10], 'progress', ARGV[11])
local optional = { worker = ARGV[12], error = ARGV[13], thumbnail = ARGV[14], tools = ARGV[15],
  started = ARGV[16], finished = ARGV[17], idempotency = ARGV[18] }
for field, value in pairs(optional) do
  if value ~= '' then
    redis.call('HSET', key, field, value)
  end
end
if ARGV[18] ~= '' then
  redis.call('SET', ARGV[18], id .. ' ' .. ARGV[19], 'NX', 'EX', ARGV[20])
end
local member = index_member(id)
redis.call('ZADD', 'il:index:all', 0, member)
redis.call('ZADD', 'il:index:kind:' .. kind, 0, member)
if owner ~= '' then
  redis.call('ZADD', 'il:index:owner:' .. owner, 0, member)
end
for i = 21, #ARGV do
  redis.call('SADD', 'il:uses:' .. id, ARGV[i])
  redis.call('SADD', 'il:used:' .. ARGV[i], id)
end
set_status(id, nil, status)
if not FINAL[status] then
  local ticket = redis.call('INCR', 'il:ticket')
  redis.call('HSET', key, 'ticket', ticket)
  enqueue(id, kind, priority, owner, ticket)
  queued_event(id, kind, priority, owner, ARGV[8], now_ms())
end
return 1
