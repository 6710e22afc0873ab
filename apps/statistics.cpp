#include "apps/statistics.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <ostream>

namespace sallyport::apps {
namespace {

constexpr double kNanosecondsInASecond = 1e9;

/// Whole numbers without a point, others with as many digits as it takes to read them back.
std::string to_text(double value)
{
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    std::array<char, 32> room{};
    const bool whole = value >= 0 && value < 1e15 && value == std::floor(value);
    const auto end = whole ? std::to_chars(room.data(), room.data() + room.size(), static_cast<std::uint64_t>(value))
                           : std::to_chars(room.data(), room.data() + room.size(), value);
    return {room.data(), end.ptr};
}

/// HELP texts know two escapes.
std::string escape_help(std::string_view text)
{
    std::string escaped;
    for (const char c : text) {
        if (c == '\n') {
            escaped += "\\n";
            continue;
        }
        if (c == '\\') escaped += '\\';
        escaped += c;
    }
    return escaped;
}

std::string with_bound(const std::string& labels, double upper)
{
    const std::string bound = "le=\"" + to_text(upper) + "\"}";
    return labels.empty() ? "{" + bound : labels.substr(0, labels.size() - 1) + "," + bound;
}

} // namespace

std::string labels_of(std::initializer_list<std::pair<std::string_view, std::string_view>> labels)
{
    std::string text;
    for (const auto& [name, value] : labels) {
        text += text.empty() ? "{" : ",";
        text.append(name).append("=\"");
        for (const char c : value) {
            if (c == '\n') {
                text += "\\n";
                continue;
            }
            if (c == '"' || c == '\\') text += '\\';
            text += c;
        }
        text += '"';
    }
    return text.empty() ? text : text + "}";
}

Statistics::Metric& Statistics::metric(const std::string& name, const std::string& help)
{
    auto& found = metrics_["sallyport_" + name.substr(0, name.find('{'))];
    found.help = help;
    return found;
}

void Statistics::add_value(const std::string& name, const std::string& help, double value, const std::string& labels)
{
    const auto brace = name.find('{');
    metric(name, help).values[brace == std::string::npos ? labels : name.substr(brace)] += value;
}

void Statistics::add(const std::string& name, const std::string& help, const base::Histogram& histogram,
                     const std::string& labels)
{
    std::array<Bucket, base::Histogram::kBuckets> buckets;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        buckets[i].upper = i < base::Histogram::kBounded
                               ? static_cast<double>(base::Histogram::upper_nanoseconds(i)) / kNanosecondsInASecond
                               : std::numeric_limits<double>::infinity();
        buckets[i].count = histogram.count(i);
    }
    add_buckets(name, help, buckets, static_cast<double>(histogram.sum_nanoseconds()) / kNanosecondsInASecond, labels);
}

void Statistics::add_buckets(const std::string& name, const std::string& help, std::span<const Bucket> buckets,
                             double sum, const std::string& labels)
{
    auto& distribution = metric(name, help).distributions[labels];
    distribution.sum = sum < 0 ? sum : distribution.sum + sum;
    if (distribution.buckets.empty()) {
        distribution.buckets.assign(buckets.begin(), buckets.end());
        return;
    }
    // All workers count in the same buckets.
    for (std::size_t i = 0; i < buckets.size() && i < distribution.buckets.size(); ++i)
        distribution.buckets[i].count += buckets[i].count;
}

std::uint64_t Statistics::total(std::string_view name) const
{
    double sum = 0;
    if (const auto found = metrics_.find("sallyport_" + std::string(name)); found != metrics_.end())
        for (const auto& [labels, value] : found->second.values) sum += value;
    return static_cast<std::uint64_t>(sum);
}

std::string Statistics::help(std::string_view name) const
{
    const auto found = metrics_.find("sallyport_" + std::string(name));
    return found == metrics_.end() ? std::string(name) : found->second.help;
}

std::string_view Statistics::type_of(const std::string& name, const Metric& metric) noexcept
{
    if (!metric.distributions.empty()) return "histogram";
    return name.ends_with("_total") ? "counter" : "gauge";
}

void Statistics::print(std::ostream& out) const
{
    for (const auto& [name, metric] : metrics_) {
        out << "# HELP " << name << ' ' << escape_help(metric.help) << "\n# TYPE " << name << ' '
            << type_of(name, metric) << '\n';
        for (const auto& [labels, value] : metric.values) out << name << labels << ' ' << to_text(value) << '\n';
        for (const auto& [labels, distribution] : metric.distributions) {
            std::uint64_t so_far = 0;
            for (const auto& bucket : distribution.buckets)
                out << name << "_bucket" << with_bound(labels, bucket.upper) << ' ' << (so_far += bucket.count) << '\n';
            if (distribution.sum >= 0) out << name << "_sum" << labels << ' ' << to_text(distribution.sum) << '\n';
            out << name << "_count" << labels << ' ' << so_far << '\n';
        }
    }
    out << "# end of statistics" << std::endl;
}

} // namespace sallyport::apps
