-- The stock policy: what most households and offices want, and a place to begin. docs/lua.md has the language.
--
--   policy: { script: lua/scripts/default.lua }
--
-- Lists stand beside the script (below its folder), one name a line or as a hosts file:
--   local ads = domains.load("lists/ads.txt")

-- Names that must never lead into the local network, unless they are ours (DNS rebinding).
local ours = domains { "home.arpa", "local", "internal", "lan" }

-- Canaries: networks that filter are asked to say so (Firefox, Apple's Private Relay).
local canaries = domains { "use-application-dns.net" }

on.query(function(q)
  if canaries:covers(q.name) then return q:answer("NXDOMAIN") end
end)

on.answer(function(q, a)
  if a:any_address_in("private") and not ours:covers(q.name) then
    return q:refuse("rebinding: a public name with a private address")
  end
end)
