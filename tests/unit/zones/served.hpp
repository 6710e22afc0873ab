#pragma once

#include "zones/options.hpp"
#include "zones/zones.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::zones::test {

/// Zones in memory and what they answer, as text that a test can compare.
class Served {
public:
    /// Adds a zone from zone text, as a zone file would be read.
    Served& zone(std::string_view apex, std::string_view text);
    /// Adds a zone from a file, relative to this folder's `data`.
    Served& data_file(std::string_view apex, const std::string& file);

    struct Asked {
        bool dnssec_ok = false;
        bool over_udp = false;
        std::size_t limit = 65535;
    };
    /// `question` is `name TYPE`. The first line of the result is the RCODE with the flags that are set (`NOERROR AA`),
    /// then one line for each record, after `AN`, `AU` or `AD`; RRSIG is shortened to the type it covers.
    /// `-> name` at the end says where resolution has to go on.
    [[nodiscard]] std::string ask(std::string_view question) { return ask(question, Asked{}); }
    [[nodiscard]] std::string ask(std::string_view question, const Asked& asked);

    Options options;
    bool local_only = false; ///< with the zones of `add_special_zones`
    Stats stats;
    base::Problems problems;
    std::size_t last_size = 0;

    /// Loads what was added, once.
    [[nodiscard]] const Snapshot* snapshot();

private:
    struct TextZone {
        std::string apex;
        std::string text;
        std::string file;
    };
    std::vector<TextZone> texts_;
    std::shared_ptr<const Snapshot> snapshot_;
};

/// The problems that reading `text` as zone `apex` gives, one a line, without the file name.
[[nodiscard]] std::string problems_of(std::string_view text, std::string_view apex = "a.test",
                                      const Limits& limits = {});

/// The SOA of a.test in one line, so that what comes after it counts from line 2.
[[nodiscard]] std::string apex_soa();
/// $TTL, SOA and NS of any zone: three lines.
[[nodiscard]] std::string apex_records();

[[nodiscard]] std::string data_path(const std::string& file);
/// Where the corpus shared between projects lies; empty where it does not.
[[nodiscard]] std::string shared_path(const std::string& below);

} // namespace sallyport::zones::test
