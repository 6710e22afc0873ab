#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::zones {

/// One zone as the operator names it. Exactly one of `file`, `records`, `hosts_file` gives its data.
struct ZoneOptions {
    std::string name; ///< apex, `gate.test`; for a hosts file the zone that short names are put under
    std::string file; ///< zone file (RFC 1035 §5)
    std::vector<std::string>
        records;                   ///< inline lines of zone text, relative to `name`; SOA and NS are made where missing
    std::string hosts_file;        ///< lines like /etc/hosts; PTR records are made from the addresses
    base::SourcePosition position; ///< where the configuration says so, for errors
    std::vector<base::SourcePosition> record_positions; ///< one for each of `records`
};

struct Limits {
    std::uint64_t records = 10'000'000;      ///< records in one zone
    std::uint32_t include_depth = 8;         ///< $INCLUDE within $INCLUDE
    std::uint32_t generate_names = 65'535;   ///< names one $GENERATE makes
    std::uint32_t problems = 100;            ///< errors reported for one file before reading it is given up
    std::uint32_t cname_chain = 11;          ///< aliases followed in one answer, at most 16
    std::uint32_t records_per_set = 5'000;   ///< records in one record set of local data
    std::uint32_t sets_per_name = 1'000;     ///< record sets at one name
    std::uint32_t entry_octets = 512 * 1024; ///< text of one record, over all its lines, comments left out
    std::uint32_t additional_names = 16;     ///< names whose addresses are put beside one answer
    std::uint32_t nsec3_iterations = 50;     ///< zones that ask for more are refused (RFC 9276 §3.2)
    std::uint32_t warnings = 20;             ///< log lines about one zone; the rest are counted
};

/// Names that have a meaning here and none on the Internet: answered here unless somebody else is told to.
struct LocalOnlyOptions {
    bool enabled = false;               ///< the configuration says yes unless told; a snapshot of other data wants none
    std::vector<std::string> leave_out; ///< names of such zones, or names they lie below, that are not answered here
    base::SourcePosition position;      ///< of `leave_out`
    std::vector<std::string> elsewhere; ///< names that somebody is told to answer for: routes, stubs, forward zones
    bool recursing = false;             ///< not forwarding: what an upstream might know better is answered here, too
    bool translates = false;            ///< DNS64: whoever asks for ipv4only.arpa wants to learn the prefix
};

struct Options {
    std::vector<ZoneOptions> zones;
    LocalOnlyOptions local_only;
    /// `$INCLUDE` may name only files below the directory of the zone file that is read.
    Limits limits;
};

} // namespace sallyport::zones
