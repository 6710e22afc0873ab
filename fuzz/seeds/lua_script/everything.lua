local c = clients { "10.0.0.0/8", "private", tls_name = "a.b" }
local d = domains { "example.com", "*.example.net" }
on.query(function(q)
  local t = { tostring(q.name), q.type, q.class, q.door, q.id, q.path, q.client:among(c, "private") }
  table.sort(t, function(a, b) return tostring(a) < tostring(b) end)
  table.insert(t, 1, q.name:labels()[1]) table.remove(t, 2)
  for w in ("a b c"):gmatch("%a+") do t[#t + 1] = w:rep(3, "-"):gsub("%-", "%%%0") end
  print(#t, pcall(error, "x"), select("#", table.unpack(t)), d:covers(q.name), q.name:under("com"))
  return q:answer { { "A", "192.0.2.1", ttl = 5 }, { "TXT", "\"x\"" }, rcode = "NOERROR" }
end)
