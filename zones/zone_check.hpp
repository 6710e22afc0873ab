#pragma once

#include "zones/zone_builder.hpp"

namespace sallyport::zones {

/// What must hold for a zone as a whole. Problems and warnings go to the builder, with the place of the record.
class ZoneCheck {
public:
    explicit ZoneCheck(ZoneBuilder& builder) noexcept : builder_(builder), zone_(*builder.zone_) {}

    /// `place` is where the zone itself is named: for what is missing.
    void run(const Place& place);

private:
    void check_apex(const Place& place);
    void check_nsec3_parameters(const RrSet& set);
    void check_node(const Node& node);
    void check_singletons(const Node& node);
    void check_cname(const Node& node);
    void check_occluded(const Node& node);
    void check_targets(const RrSet& set);
    void check_nsec3_owner(const Node& node);
    [[nodiscard]] const ZoneBuilder::Record& record_of(const RrSet& set) const noexcept;
    void problem(const RrSet& set, std::string_view message);
    void warning(const RrSet& set, std::string_view message);

    ZoneBuilder& builder_;
    const Zone& zone_;
};

} // namespace sallyport::zones
