#include "apps/statistics.hpp"

#include <boost/json.hpp>

#include <cmath>

namespace sallyport::apps {
namespace {

namespace json = boost::json;

/// `{a="b",c="d\"e"}` taken apart again; the values were escaped by `labels_of`.
json::object labels_to_json(std::string_view text)
{
    json::object labels;
    std::size_t at = 1;
    while (at < text.size()) {
        const auto equals = text.find("=\"", at);
        if (equals == std::string_view::npos) break;
        const auto name = text.substr(at, equals - at);
        std::string value;
        for (at = equals + 2; at < text.size() && text[at] != '"'; ++at) {
            if (text[at] == '\\' && at + 1 < text.size()) ++at;
            value += text[at];
        }
        labels[name] = value;
        at += 2;
    }
    return labels;
}

json::value number(double value)
{
    if (std::isinf(value)) return nullptr;
    if (value >= 0 && value < 1e15 && value == std::floor(value)) return static_cast<std::uint64_t>(value);
    return value;
}

} // namespace

std::string Statistics::to_json() const
{
    json::array all;
    for (const auto& [name, metric] : metrics_) {
        json::array samples;
        for (const auto& [labels, value] : metric.values)
            samples.push_back(json::object{{"labels", labels_to_json(labels)}, {"value", number(value)}});
        for (const auto& [labels, distribution] : metric.distributions) {
            json::array buckets;
            std::uint64_t count = 0;
            for (const auto& bucket : distribution.buckets) {
                buckets.push_back(json::array{number(bucket.upper), bucket.count});
                count += bucket.count;
            }
            json::object sample{{"labels", labels_to_json(labels)}, {"buckets", std::move(buckets)}, {"count", count}};
            if (distribution.sum >= 0) sample["sum"] = number(distribution.sum);
            samples.push_back(std::move(sample));
        }
        all.push_back(json::object{
            {"name", name}, {"type", type_of(name, metric)}, {"help", metric.help}, {"samples", std::move(samples)}});
    }
    return json::serialize(all);
}

} // namespace sallyport::apps
