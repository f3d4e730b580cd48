-- ARGV: id. Removes a job that has ended. Answers the state ('' if there is no
-- such job), then the stored keys that nothing uses any more.
local id = ARGV[1]
local key = job_key(id)
local r = redis.call('HMGET', key, 'status', 'kind', 'owner', 'idempotency')
if r[1] and not FINAL[r[1]] then
  return { r[1] }
end
local answer = { r[1] or '' }
for _, used in ipairs(redis.call('SMEMBERS', 'il:uses:' .. id)) do
  redis.call('SREM', 'il:used:' .. used, id)
  if redis.call('EXISTS', 'il:used:' .. used) == 0 then
    answer[#answer + 1] = used
  end
end
local member = index_member(id)
redis.call('ZREM', 'il:index:all', member)
if r[1] then
  redis.call('ZREM', 'il:index:status:' .. r[1], member)
  redis.call('ZREM', 'il:index:kind:' .. r[2], member)
  redis.call('ZREM', 'il:index:owner:' .. r[3], member)
  if r[4] then
    redis.call('DEL', r[4])
  end
end
redis.call('SREM', 'il:unsaved', id)
redis.call('DEL', key, event_key(id), 'il:uses:' .. id)
redis.call('PUBLISH', 'il:event:' .. id, 'deleted')
return answer
