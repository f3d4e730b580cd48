-- ARGV: id attempt nonce events…
-- The nonce makes a repeated call (after a lost answer) harmless.
local key = job_key(ARGV[1])
local r = redis.call('HMGET', key, 'status', 'attempt', 'nonce', 'nonce_ids')
if r[1] ~= 'running' or r[2] ~= ARGV[2] then
  return { 'stale' }
end
if r[3] == ARGV[3] then
  return cjson.decode(r[4])
end
local answer = { 'ok' }
for i = 4, #ARGV do
  answer[#answer + 1] = emit(ARGV[1], ARGV[2], ARGV[i])
end
redis.call('HSET', key, 'nonce', ARGV[3], 'nonce_ids', cjson.encode(answer))
return answer
