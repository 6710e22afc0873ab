#include "tests/replay/settings.hpp"

#include "dnssec/dnssec.hpp"
#include "wire/text_codec.hpp"

#include <algorithm>
#include <charconv>
#include <map>

namespace sallyport::replay {
namespace {

using resolver::iterate::FixedZone;

bool value_is_off(const std::string& value) { return value == "0"; }

bool is_yes(const std::string& value) { return value == "yes"; }

std::uint32_t number(const std::string& value, std::uint32_t otherwise = 0)
{
    std::uint32_t out = otherwise;
    std::from_chars(value.data(), value.data() + value.size(), out);
    return out;
}

/// Options that say how answers are dressed or logs are written: nothing that is compared depends on them.
constexpr std::string_view kWithoutEffect[] = {"target-fetch-policy",
                                               "minimal-responses",
                                               "iter-scrub-promiscuous",
                                               "rrset-roundrobin",
                                               "verbosity",
                                               "log-time-ascii",
                                               "val-log-level",
                                               "log-servfail",
                                               "log-queries",
                                               "log-replies",
                                               "trust-anchor-signaling",
                                               "msg-cache-size",
                                               "rrset-cache-size",
                                               "harden-referral-path",
                                               "fake-sha1",
                                               "fake-dsa",
                                               "num-threads",
                                               "use-syslog",
                                               "hide-version",
                                               "hide-identity",
                                               "version",
                                               "identity",
                                               "val-clean-additional",
                                               "val-sig-skew-min",
                                               "val-sig-skew-max",
                                               "harden-glue",
                                               "harden-large-queries",
                                               "harden-unknown-additional",
                                               "directory",
                                               "log-local-actions",
                                               "rpz-log",
                                               "rpz-log-name",
                                               "prefetch-key",
                                               "stub-prime",
                                               "client-subnet-opcode",
                                               "edns-buffer-size",
                                               "do-ip4",
                                               "infra-cache-min-rtt"};

class Reader {
public:
    Reader(const Scenario& scenario, Settings& settings) : scenario_(scenario), settings_(settings) {}

    std::optional<std::string> read()
    {
        defaults();
        if (!scenario_.commands.empty()) return "command-line words of another program";
        for (const ConfigLine& line : scenario_.config) {
            if (auto what = take(line)) return what->find(' ') == std::string::npos ? explain(*what) : what;
        }
        for (const auto& [block, zone] : zones_) {
            if (!zone.zone.is_root()) settings_.no_local_zones.push_back(zone.zone.to_text());
        }
        for (auto& [block, zone] : zones_) settings_.engine.fixed.push_back(std::move(zone));
        if (!validate_) anchors_ = std::make_shared<dnssec::TrustAnchors>();
        settings_.engine.anchors = anchors_;
        settings_.store.keep_stale = settings_.engine.serve_stale;
        for (const Step& step : scenario_.steps) {
            if (step.kind == StepKind::check_autotrust && settings_.managed.empty()) {
                return "a state file of RFC 5011 that the head does not have";
            }
            if (step.kind == StepKind::check_tempfile) return "a look into files of transferred zones";
            if (step.kind == StepKind::flush_message || step.kind == StepKind::expire_message) {
                return "a hand in the message cache";
            }
        }
        return std::nullopt;
    }

private:
    /// Why an option stands outside of what the resolver does.
    static std::string explain(const std::string& name)
    {
        struct Reason {
            std::string_view name, why;
        };
        constexpr Reason kReasons[] = {
            {"local-zone", "local data and its kinds of zones are the gateway's, which have tests of their own"},
            {"local-data", "local data is the gateway's, which has tests of its own"},
            {"nsid", "told by the gateway, not the resolver"},
            {"answer-cookie", "cookies towards clients are the gateway's, which have tests of their own"},
            {"do-nat64", "servers behind NAT64 are not asked"},
            {"dns-error-reporting", "RFC 9567 is not there"},
            {"harden-unverified-glue", "there is no switch for it: glue is used as RFC 9471 has it"},
            {"harden-dnssec-stripped", "there is no switch for it: what is stripped is bogus"},
            {"serve-expired-ttl-reset", "there is no switch for it"},
            {"serve-original-ttl", "TTLs always count down"},
            {"forward-no-cache", "there is no switch for it: answers of forwarders are kept"},
            {"stub-no-cache", "there is no switch for it: answers of stub zones are kept"},
            {"zonemd-permissive-mode", "zones of its own (`auth-zone`) are not the resolver's"},
        };
        const auto it = std::find_if(std::begin(kReasons), std::end(kReasons),
                                     [&](const Reason& reason) { return reason.name == name; });
        return "`" + name + "`: " + std::string(it == std::end(kReasons) ? "unknown to this runner" : it->why);
    }

    void defaults()
    {
        auto& engine = settings_.engine;
        settings_.no_local_zones = {"local.", "alt.", "ipv4only.arpa."}; // of which Unbound knows nothing
        engine.policy.limits.nsec3_iterations = 150;                     // Unbound's
        // Replies are late only where a step says so, however much time passes.
        engine.first_timeout = engine.least_timeout = engine.most_timeout = std::chrono::hours{100};
        engine.limits.time = std::chrono::hours{100};
        engine.case_randomisation = false;
        engine.cookies = false;
        engine.do_not_query = resolver::iterate::useless_addresses();
        engine.policy.algorithms = dnssec::Algorithms::recommended(true, true);
        // Old scenarios are signed with DSA: accepted here, and nowhere in the product.
        engine.policy.algorithms.signatures.set(3).set(6);
        engine.policy.algorithms.foreign = verify_old;
        engine.limits.tries = 5; // Unbound's
    }

    std::optional<std::string> take(const ConfigLine& line)
    {
        if (line.section == "stub-zone" || line.section == "forward-zone") return take_zone(line);
        if (line.section == "auth-zone") return "zones of its own (`auth-zone`) are not the resolver's";
        if (line.section == "rpz") return "response policy (`rpz`) is not the resolver's";
        if (line.section != "server") return "a block `" + line.section + "`, unknown to this runner";
        if (std::find(std::begin(kWithoutEffect), std::end(kWithoutEffect), line.name) != std::end(kWithoutEffect)) {
            return std::nullopt;
        }
        if (take_switch(line) || take_number(line)) return std::nullopt;
        return take_rest(line);
    }

    std::optional<std::string> take_zone(const ConfigLine& line)
    {
        FixedZone& zone = zones_[line.block];
        zone.forward = line.section == "forward-zone";
        if (line.name == "name") {
            const auto name = wire::Name::from_text(line.value);
            if (!name) return "a zone name that is none";
            zone.zone = name->lower();
        } else if (line.name == "stub-addr" || line.name == "forward-addr") {
            const auto address = base::IpAddress::parse(line.value.substr(0, line.value.find_first_of("@# ")));
            if (!address) return "an address that is none";
            zone.servers.push_back({*address, 53, 0});
        } else if (line.name == "stub-host" || line.name == "forward-host") {
            const auto name = wire::Name::from_text(line.value);
            if (name) zone.names.push_back(name->lower());
        } else if (line.name == "stub-first" || line.name == "forward-first") {
            zone.first = is_yes(line.value);
        } else if (line.name == "forward-tcp-upstream" || line.name == "stub-tcp-upstream") {
            zone.tcp = is_yes(line.value);
        } else if (line.name == "stub-prime") {
            if (zone.zone.is_root()) settings_.engine.prime = is_yes(line.value);
        } else if ((line.name != "stub-no-cache" && line.name != "forward-no-cache") || is_yes(line.value)) {
            return line.name;
        }
        return std::nullopt;
    }

    bool take_switch(const ConfigLine& line)
    {
        auto& engine = settings_.engine;
        const std::map<std::string, bool*> switches = {
            {"qname-minimisation", &engine.qname_minimisation},
            {"qname-minimisation-strict", &engine.qname_minimisation_strict},
            {"aggressive-nsec", &engine.aggressive_denial},
            {"do-ip6", &engine.ipv6},
            {"do-ip4", &engine.ipv4},
            {"prefer-ip6", &engine.prefer_ipv6},
            {"prefetch", &engine.prefetch},
            {"use-caps-for-id", &engine.case_randomisation},
            {"serve-expired", &engine.serve_stale},
            {"ede", &settings_.ede},
            {"ede-serve-expired", &settings_.stale_ede},
            {"val-permissive-mode", &engine.permissive},
            {"harden-below-nxdomain", &engine.nothing_below_nxdomain},
            {"root-key-sentinel", &engine.sentinel},
        };
        if (line.name == "harden-algo-downgrade") {
            engine.policy.any_digest = !is_yes(line.value);
            return true;
        }
        const auto it = switches.find(line.name);
        if (it == switches.end()) return false;
        *it->second = is_yes(line.value);
        return true;
    }

    bool take_number(const ConfigLine& line)
    {
        auto& engine = settings_.engine;
        const std::uint32_t value = number(line.value);
        if (line.name == "cache-max-ttl") {
            settings_.store.max_ttl = value;
        } else if (line.name == "cache-min-ttl") {
            settings_.store.min_ttl = value;
        } else if (line.name == "cache-max-negative-ttl") {
            settings_.store.max_negative_ttl = value;
        } else if (line.name == "serve-expired-ttl") {
            settings_.store.stale_for = value == 0 ? 86'400'000U : value;
        } else if (line.name == "serve-expired-reply-ttl") {
            engine.stale_ttl = value;
        } else if (line.name == "serve-expired-client-timeout") {
            engine.stale_client_timeout = std::chrono::milliseconds(value);
        } else if (line.name == "val-nsec3-keysize-iterations") {
            // Pairs of key size and iterations: here they count whatever the key. The last number is the greatest.
            const std::size_t last = line.value.find_last_of(' ');
            engine.policy.limits.nsec3_iterations = number(line.value.substr(last == std::string::npos ? 0 : last + 1));
        } else if (line.name == "outbound-msg-retry") {
            engine.limits.tries = std::max(value, 1U);
        } else if (line.name == "max-global-quota") {
            engine.limits.packets = value;
        } else {
            return false;
        }
        return true;
    }

    std::optional<std::string> take_rest(const ConfigLine& line)
    {
        auto& engine = settings_.engine;
        if (line.name == "trust-anchor") return take_anchor(line.value);
        if (line.name == "val-override-date") return take_date(line.value);
        if (line.name == "module-config") return take_modules(line.value);
        if (line.name == "access-control") return take_access(line.value);
        if (line.name == "auto-trust-anchor-file") return take_managed(line.value);
        if (line.name == "root-hints") return take_hints(line.value);
        if (line.name.find("client-subnet") != std::string::npos) return take_subnet(line);
        if (line.name.substr(0, 5) == "dns64") return take_dns64(line);
        // On by default, and off where a head says so.
        if (line.name == "tcp-upstream" && !is_yes(line.value)) return std::nullopt;
        if (line.name == "harden-unverified-glue" && !is_yes(line.value)) return std::nullopt;
        if (line.name == "domain-insecure") {
            if (const auto name = wire::Name::from_text(line.value)) anchors_->add_insecure(name->lower());
            return std::nullopt;
        }
        if (line.name == "do-not-query-localhost") {
            if (line.value == "no") engine.do_not_query.clear();
            return std::nullopt;
        }
        if (line.name == "do-not-query-address" || line.name == "private-address") {
            const auto prefix = base::Prefix::parse(line.value);
            if (!prefix) return "a network that is none";
            (line.name == "private-address" ? engine.private_addresses : engine.do_not_query).push_back(*prefix);
            return std::nullopt;
        }
        if (line.name == "private-domain") {
            if (const auto name = wire::Name::from_text(line.value)) engine.private_domains.push_back(name->lower());
            return std::nullopt;
        }
        // Clients of scenarios wait for ever where nothing else is said.
        if (line.name == "discard-timeout" && (value_is_off(line.value) || number(line.value) > 60'000))
            return std::nullopt;
        if (line.name == "local-zone" && line.value.find("nodefault") != std::string::npos) {
            settings_.no_local_zones.push_back(line.value.substr(0, line.value.find_first_of(" \t")));
            return std::nullopt;
        }
        return line.name;
    }

    std::optional<std::string> take_managed(const std::string& id)
    {
        const auto it = scenario_.autotrust.find(id);
        if (it == scenario_.autotrust.end()) return "a state file of RFC 5011 that is not in the scenario";
        std::string text;
        for (const std::string& line : it->second) text += line + '\n';
        settings_.managed.emplace_back(id, std::move(text));
        return std::nullopt;
    }

    /// Zone text with the root's servers and their addresses.
    std::optional<std::string> take_hints(const std::string& id)
    {
        const auto file = scenario_.files.find(id);
        if (file == scenario_.files.end()) return "root hints that are not in the scenario";
        FixedZone zone;
        for (const std::string& text : file->second) {
            const std::size_t first = text.find_first_not_of(" \t");
            if (first == std::string::npos || text[first] == ';') continue;
            const auto record = parse_record(text, wire::Name{}, 3600);
            if (!record) return "root hints that are none";
            if (record->rr_class != wire::RrClass::IN) return "root hints of a class other than IN";
            if (record->type != wire::RrType::A && record->type != wire::RrType::AAAA) continue;
            zone.servers.push_back({base::IpAddress::from_octets(record->rdata), 53, 0});
        }
        settings_.engine.fixed.push_back(std::move(zone));
        return std::nullopt;
    }

    std::optional<std::string> take_subnet(const ConfigLine& line)
    {
        auto& subnet = settings_.engine.subnet;
        settings_.subnets = true;
        const auto bits = static_cast<std::uint8_t>(std::min(number(line.value), 128U));
        if (line.name == "send-client-subnet") {
            const auto prefix = base::Prefix::parse(line.value);
            if (!prefix) return "a network that is none";
            subnet.servers.push_back(*prefix);
        } else if (line.name == "client-subnet-zone") {
            const auto name = wire::Name::from_text(line.value);
            if (!name) return "a zone name that is none";
            subnet.zones.push_back(name->lower());
        } else if (line.name == "max-client-subnet-ipv4") {
            subnet.ipv4_bits = bits;
        } else if (line.name == "max-client-subnet-ipv6") {
            subnet.ipv6_bits = bits;
        } else if (line.name != "client-subnet-always-forward") {
            return line.name;
        }
        return std::nullopt;
    }

    std::optional<std::string> take_dns64(const ConfigLine& line)
    {
        auto& dns64 = settings_.engine.dns64;
        if (line.name == "dns64-prefix") {
            const auto prefix = base::Prefix::parse(line.value);
            if (!prefix) return "a network that is none";
            dns64.prefixes = {*prefix};
        } else if (line.name == "dns64-ignore-aaaa") {
            if (const auto name = wire::Name::from_text(line.value)) dns64.ignore.push_back(name->lower());
        } else {
            return line.name;
        }
        return std::nullopt;
    }

    std::optional<std::string> take_anchor(const std::string& value)
    {
        const auto record = parse_record(value, wire::Name{}, 3600);
        if (!record) return "a trust anchor that is none";
        if (record->type == wire::RrType::DS) {
            anchors_->add_ds(record->owner.lower(), record->rdata);
        } else {
            anchors_->add_dnskey(record->owner.lower(), record->rdata);
        }
        return std::nullopt;
    }

    std::optional<std::string> take_date(const std::string& value)
    {
        if (value == "-1") {
            settings_.engine.policy.check_dates = false;
            return std::nullopt;
        }
        const auto seconds = wire::parse_time(value);
        if (!seconds) return "a date that is none";
        if (*seconds != 0) settings_.date = *seconds;
        return std::nullopt;
    }

    std::optional<std::string> take_modules(const std::string& value)
    {
        validate_ = value.find("validator") != std::string::npos;
        if (value.find("respip") != std::string::npos) return "response policy (`respip`) is not the resolver's";
        for (const char* module : {"cachedb", "ipsecmod", "python", "dynlib", "ipset"}) {
            if (value.find(module) != std::string::npos) return std::string("module ") + module;
        }
        settings_.subnets = settings_.subnets || value.find("subnetcache") != std::string::npos;
        auto& prefixes = settings_.engine.dns64.prefixes;
        if (value.find("dns64") != std::string::npos && prefixes.empty()) {
            prefixes.push_back(*base::Prefix::parse("64:ff9b::/96")); // RFC 6052 §2.1
        }
        return std::nullopt;
    }

    std::optional<std::string> take_access(const std::string& value)
    {
        const std::size_t blank = value.find_first_of(" \t");
        const auto prefix = base::Prefix::parse(value.substr(0, blank));
        if (!prefix || blank == std::string::npos) return "an access rule that is none";
        std::string word = value.substr(value.find_first_not_of(" \t", blank));
        if (word != "allow" && word != "allow_snoop" && word != "refuse") {
            return "`access-control: " + word + "`, unknown to this runner";
        }
        settings_.access.emplace_back(*prefix, std::move(word));
        return std::nullopt;
    }

    const Scenario& scenario_;
    Settings& settings_;
    std::map<unsigned, FixedZone> zones_;
    std::shared_ptr<dnssec::TrustAnchors> anchors_ = std::make_shared<dnssec::TrustAnchors>();
    bool validate_ = true;
};

} // namespace

std::optional<std::string> read_settings(const Scenario& scenario, Settings& settings)
{
    return Reader(scenario, settings).read();
}

} // namespace sallyport::replay
