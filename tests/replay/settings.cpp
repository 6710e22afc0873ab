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
                                               "root-key-sentinel",
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
                                               "stub-no-cache",
                                               "forward-no-cache",
                                               "edns-buffer-size",
                                               "do-ip4",
                                               "infra-cache-min-rtt"};

class Reader {
public:
    Reader(const Scenario& scenario, Settings& settings) : scenario_(scenario), settings_(settings) {}

    std::optional<std::string> read()
    {
        defaults();
        if (!scenario_.commands.empty()) return "a command line";
        for (const ConfigLine& line : scenario_.config) {
            if (auto reason = take(line)) return reason;
        }
        for (auto& [block, zone] : zones_) settings_.engine.fixed.push_back(std::move(zone));
        if (!validate_) anchors_ = std::make_shared<dnssec::TrustAnchors>();
        settings_.engine.anchors = anchors_;
        settings_.store.keep_stale = settings_.engine.serve_stale;
        for (const Step& step : scenario_.steps) {
            if (step.kind == StepKind::check_autotrust) return "a look into RFC 5011 state files";
            if (step.kind == StepKind::check_tempfile) return "a look into files of transferred zones";
            if (step.kind == StepKind::flush_message || step.kind == StepKind::expire_message) {
                return "a hand in the message cache";
            }
        }
        return std::nullopt;
    }

private:
    void defaults()
    {
        auto& engine = settings_.engine;
        engine.policy.limits.nsec3_iterations = 150; // Unbound's
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
        if (line.section != "server") return "a block " + line.section;
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
        } else if (line.name != "stub-no-cache" && line.name != "forward-no-cache") {
            return line.section + ' ' + line.name;
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
        // Built-in local zones stand before the resolver; here they are never there.
        // Clients of scenarios wait for ever where nothing else is said.
        if (line.name == "discard-timeout" && (value_is_off(line.value) || number(line.value) > 60'000))
            return std::nullopt;
        if (line.name == "local-zone" && line.value.find("nodefault") != std::string::npos) return std::nullopt;
        return line.name;
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
        for (const char* module :
             {"respip", "dns64", "subnetcache", "cachedb", "ipsecmod", "python", "dynlib", "ipset"}) {
            if (value.find(module) != std::string::npos) return std::string("module ") + module;
        }
        return std::nullopt;
    }

    std::optional<std::string> take_access(const std::string& value)
    {
        const std::size_t blank = value.find_first_of(" \t");
        const auto prefix = base::Prefix::parse(value.substr(0, blank));
        if (!prefix || blank == std::string::npos) return "an access rule that is none";
        std::string word = value.substr(value.find_first_not_of(" \t", blank));
        if (word != "allow" && word != "allow_snoop") return "access-control " + word;
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
