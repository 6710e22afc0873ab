#include "conf/parts.hpp"

namespace sallyport::conf {
namespace {

using Block = pipeline::BlockOptions;

/// A word, or the addresses that blocked names lead to.
void read_block(Section& section, Block& block)
{
    static const std::initializer_list<std::pair<std::string_view, Block::Kind>> kWords{
        {"nxdomain", Block::Kind::nxdomain},
        {"nodata", Block::Kind::nodata},
        {"zero", Block::Kind::zero_address},
        {"refused", Block::Kind::refused}};
    std::vector<std::string> values;
    std::vector<base::SourcePosition> positions;
    section.texts("block", values, &positions);
    if (values.size() == 1)
        for (const auto& [word, kind] : kWords)
            if (values.front() == word) return static_cast<void>(block.kind = kind);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto address = base::IpAddress::parse(values[i]);
        if (address)
            block.addresses.push_back(*address);
        else
            section.reading().complain(positions[i], "'policy.block' is '" + values[i] +
                                                         "'; expected one of nxdomain, nodata, zero, refused, or "
                                                         "addresses");
    }
    if (!block.addresses.empty()) block.kind = Block::Kind::address;
}

void read_limits(Section& policy, lua::Options& script)
{
    using std::chrono::milliseconds;
    Section section{policy.reading(), policy.map("limits"), "policy.limits"};
    section.number("instructions", script.instructions, 1'000, 100'000'000);
    section.duration("time", script.time, milliseconds{1}, milliseconds{1'000});
    section.size("memory", script.memory, 256U << 10U, 1U << 30U);
    section.number("start_instructions", script.start_instructions, 1'000, 4'000'000'000U);
    section.size("script_size", script.script_octets, 1024, 64U << 20U);
    section.size("list_size", script.list_octets, 1024, 1U << 30U);
    section.number("list_names", script.list_names, 1, 50'000'000);
}

} // namespace

void read_script(Section& top, lua::Options& script, Block& block)
{
    Section section{top.reading(), top.map("policy"), "policy"};
    section.path("script", script.script);
    script.position = section.position_of("script");
    section.choice<lua::OnError>("on_error", script.on_error,
                                 {{"continue", lua::OnError::proceed}, {"refuse", lua::OnError::refuse}});
    read_block(section, block);
    section.number("block_ttl", block.ttl, 0, 86'400);
    read_limits(section, script);
}

} // namespace sallyport::conf
