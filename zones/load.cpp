#include "zones/hosts_file.hpp"
#include "zones/read_files.hpp"
#include "zones/snapshot_builder.hpp"
#include "zones/special_zones.hpp"
#include "zones/zone_builder.hpp"
#include "zones/zone_text.hpp"
#include "zones/zones.hpp"

#include <algorithm>
#include <optional>

namespace sallyport::zones {

namespace {

constexpr wire::Ttl kInlineTtl{3600};
constexpr wire::Ttl kReverseTtl{300};

/// Everything the options name, one after the other, into one snapshot.
class Loader {
public:
    Loader(const Options& options, base::Problems& problems, std::vector<std::string>& files)
        : options_(options), problems_(problems), files_(files)
    {
    }

    std::shared_ptr<const Snapshot> run()
    {
        const auto problems_before = problems_.size();
        for (const ZoneOptions& zone : options_.zones) load_zone(zone);
        if (problems_.size() == problems_before) make_reverse_zones();
        if (problems_.size() == problems_before) add_special_zones(snapshot_, options_, configured_, problems_);
        return problems_.size() == problems_before ? snapshot_.finish() : nullptr;
    }

private:
    void problem(base::ErrorCode code, std::string message, const ZoneOptions& zone)
    {
        problems_.push_back({code, std::move(message), zone.position});
    }

    [[nodiscard]] bool has_one_source(const ZoneOptions& zone)
    {
        const int sources = int{!zone.file.empty()} + int{!zone.records.empty()} + int{!zone.hosts_file.empty()};
        if (sources == 1) return true;
        problem(sources == 0 ? base::ErrorCode::invalid : base::ErrorCode::conflict,
                "zone '" + zone.name + "' has " + (sources == 0 ? "no data" : "data from several places") +
                    ", expected exactly one of file, records, hosts_file",
                zone);
        return false;
    }

    void load_zone(const ZoneOptions& zone)
    {
        const auto apex = zone.name.empty() ? base::Result<wire::Name, wire::ParseError>{wire::ParseError::bad_text}
                                            : wire::Name::from_text(zone.name);
        if (!apex) {
            problem(base::ErrorCode::invalid, "'" + zone.name + "' is no zone name, expected a domain name", zone);
            return;
        }
        if (!has_one_source(zone)) return;
        configured_.push_back(*apex);
        ZoneBuilder builder{*apex, options_.limits, problems_};
        const Place here{zone.position.line, static_cast<std::uint16_t>(zone.position.column),
                         builder.file_number(zone.position.file.empty() ? zone.file : zone.position.file)};
        if (!zone.file.empty()) {
            ZoneTextReader{builder, options_.limits, TextOrigin::operators_own}.read_file(zone.file, zone.position);
        } else if (!zone.hosts_file.empty()) {
            HostsFileReader{builder, options_.limits, reverse_}.read_file(zone.hosts_file, zone.position);
            builder.make_missing_apex_records(here);
        } else {
            read_inline(zone, builder);
            builder.make_missing_apex_records(here);
        }
        files_.insert(files_.end(), builder.files().begin(), builder.files().end());
        auto built = builder.finish(here);
        if (built != nullptr && !snapshot_.add(std::move(built))) {
            problem(base::ErrorCode::conflict, "zone " + apex->to_text() + " is there already, expected each zone once",
                    zone);
        }
    }

    void read_inline(const ZoneOptions& zone, ZoneBuilder& builder)
    {
        ZoneTextReader reader{builder, options_.limits, TextOrigin::imported};
        reader.set_fallback_ttl(kInlineTtl);
        for (std::size_t i = 0; i < zone.records.size(); ++i) {
            reader.read_text(zone.records[i],
                             i < zone.record_positions.size() ? zone.record_positions[i] : zone.position);
        }
    }

    /// PTR for the addresses of hosts files. Each reverse name is the apex of a zone of its own: the addresses beside
    /// it, which may well be someone else's, are answered as if we had none of them. Where the operator serves a zone
    /// that holds the reverse name, that zone is the authority and nothing is made.
    void make_reverse_zones()
    {
        std::vector<std::unique_ptr<const Zone>> made;
        for (const auto& [reverse, host] : reverse_) {
            const wire::Name apex = wire::Name::from_text(reverse).value();
            if (snapshot_.so_far().find(apex) != nullptr) continue;
            ZoneBuilder builder{apex, options_.limits, problems_};
            (void)builder.add(apex, wire::RrType::PTR, kReverseTtl, host.wire(), {});
            builder.make_missing_apex_records({});
            made.push_back(builder.finish({}));
        }
        for (auto& zone : made) {
            if (zone != nullptr) snapshot_.add(std::move(zone));
        }
    }

    const Options& options_;
    base::Problems& problems_;
    std::vector<std::string>& files_;
    SnapshotBuilder snapshot_;
    ReverseNames reverse_;
    std::vector<wire::Name> configured_;
};

} // namespace

std::shared_ptr<const Snapshot> load(const Options& options, base::Problems& problems)
{
    std::vector<std::string> files;
    return load(options, problems, files);
}

std::shared_ptr<const Snapshot> load(const Options& options, base::Problems& problems, std::vector<std::string>& files)
{
    return Loader{options, problems, files}.run();
}

} // namespace sallyport::zones
