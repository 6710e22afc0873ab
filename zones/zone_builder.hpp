#pragma once

#include "base/result.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"
#include "zones/options.hpp"
#include "zones/zone.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::zones {

/// Where a record was read, in 8 octets: millions are kept until the zone is checked.
struct Place {
    std::uint32_t line = 0;
    std::uint16_t column = 0;
    std::uint16_t file = 0; ///< number from `ZoneBuilder::file_number`
};

/// Collects the records of one zone in any order, checks them together and lays the zone out. Control thread only.
class ZoneBuilder {
public:
    /// `apex` in any case. Problems are appended to `problems`, up to `limits.problems` for this zone.
    ZoneBuilder(const wire::Name& apex, const Limits& limits, base::Problems& problems);
    ~ZoneBuilder();
    ZoneBuilder(const ZoneBuilder&) = delete;
    ZoneBuilder& operator=(const ZoneBuilder&) = delete;

    [[nodiscard]] const wire::Name& apex() const noexcept { return apex_; }
    /// A number for `Place::file`. The same file gives the same number.
    [[nodiscard]] std::uint16_t file_number(std::string_view file);
    /// Every file that has a number.
    [[nodiscard]] const std::vector<std::string>& files() const noexcept { return files_; }
    [[nodiscard]] base::SourcePosition position(const Place& place) const;

    /// Takes one record; RDATA is uncompressed and fits its type. False where it was refused, with a problem noted.
    bool add(const wire::Name& owner, wire::RrType type, wire::Ttl ttl, base::Bytes rdata, const Place& place);
    /// The same for the owner of the record added last: the next record of the same name costs no look-up.
    bool add_same_owner(wire::RrType type, wire::Ttl ttl, base::Bytes rdata, const Place& place);
    /// True once a record at the apex has this type.
    [[nodiscard]] bool apex_has(wire::RrType type) const noexcept;
    /// Adds SOA and NS where the records have none: hosts files and inline zones need not spell them out.
    void make_missing_apex_records(const Place& place);

    /// Says that nobody wrote this zone: it is a name of special use, by that RFC. `delegated`: its parent delegates
    /// it.
    void set_special(std::uint16_t rfc, bool delegated) noexcept;

    void problem(base::ErrorCode code, std::string message, const Place& place);
    /// True when so many problems were noted that reading on is pointless.
    [[nodiscard]] bool given_up() const noexcept { return noted_ >= limits_.problems; }
    [[nodiscard]] std::uint32_t problem_count() const noexcept { return noted_; }
    /// Those so far that own records or have such below them.
    [[nodiscard]] std::size_t name_count() const noexcept { return zone_->name_count(); }
    /// A line for the service log, up to `limits.warnings` for this zone.
    void warning(std::string_view message, const Place& place);

    /// Checks the zone as a whole and gives it; null where any problem was noted. The builder is spent.
    [[nodiscard]] std::unique_ptr<Zone> finish(const Place& place);

private:
    friend class ZoneCheck;

    struct Record {
        std::uint32_t node = 0;
        wire::RrType type{};
        wire::RrType covered{};
        std::uint32_t ttl = 0;
        std::uint32_t rdata = 0; // in raw_: two octets of length, then RDATA
        Place place;
    };

    [[nodiscard]] std::uint32_t intern(base::Bytes lower_name);
    [[nodiscard]] std::uint32_t new_node(base::Bytes lower_name, std::uint32_t hash, std::uint32_t parent);
    void insert_slot(std::uint32_t hash, std::uint32_t node);
    [[nodiscard]] bool append(std::uint32_t node, wire::RrType type, wire::Ttl ttl, base::Bytes rdata,
                              const Place& place);
    [[nodiscard]] base::Bytes rdata(const Record& record) const noexcept;
    [[nodiscard]] std::string describe(const Record& record) const;

    void sort_records();
    void lay_out_sets();
    std::size_t lay_out_set(std::size_t first);
    [[nodiscard]] std::vector<std::size_t> without_duplicates(std::size_t first, std::size_t end) const;
    void link_signatures(Node& node);
    void flag_nodes();
    void hide_denial_names();
    void order_nsec();
    void order_nsec3();
    void summarise();

    wire::Name apex_;
    const Limits& limits_;
    base::Problems& problems_;
    std::uint32_t noted_ = 0;
    std::uint32_t warned_ = 0;
    std::vector<std::string> files_;
    std::unique_ptr<Zone> zone_;
    std::vector<Record> records_;
    std::vector<std::uint8_t> raw_;
    std::vector<std::uint32_t> first_record_; // of each set, beside zone_->sets_
    std::uint32_t last_node_ = 0;
    bool full_ = false;
};

} // namespace sallyport::zones
