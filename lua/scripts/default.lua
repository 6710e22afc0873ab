-- The stock policy: what most households and offices want, and a place to begin. docs/lua.md has the language.
--
--   policy: { script: lua/scripts/default.lua }
--
-- Lists stand beside the script (below its folder), one name a line or as a hosts file:
--   local ads = domains.load("lists/ads.txt")

-- Names that nobody on the Internet can own. Where upstreams of yours know others that lead into the local network, add
-- them; zones of this gateway need not be named.
local inside = domains { "home.arpa", "local", "internal", "lan", "test" }

-- Canaries: networks that filter are asked to say so (Firefox, Apple's Private Relay).
local canaries = domains { "use-application-dns.net" }

on.query(function(q)
  if canaries:covers(q.name) then return q:answer("NXDOMAIN") end
end)

on.answer(function(q, a)
  -- Rebinding: a page of a stranger gets at the devices of the house by a name of its own. What others say must not lead
  -- there; what local zones say is the operator's word.
  if a.source ~= "zone" and a:any_address_in("private") and not inside:covers(q.name) then
    return q:refuse("rebinding: a public name with a private address")
  end
end)
