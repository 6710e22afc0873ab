#include "apps/statistics.hpp"

#include <ostream>

namespace sallyport::apps {

void Statistics::add(const std::string& name, const std::string& help, const base::Counter& counter,
                     const std::string& labels)
{
    // A name may bring its labels with it.
    const auto brace = name.find('{');
    auto& metric = metrics_["sallyport_" + name.substr(0, brace)];
    metric.help = help;
    metric.values[brace == std::string::npos ? labels : name.substr(brace)] += counter.get();
}

std::uint64_t Statistics::total(std::string_view name) const
{
    std::uint64_t sum = 0;
    if (const auto found = metrics_.find("sallyport_" + std::string(name)); found != metrics_.end())
        for (const auto& [labels, value] : found->second.values) sum += value;
    return sum;
}

std::string Statistics::help(std::string_view name) const
{
    const auto found = metrics_.find("sallyport_" + std::string(name));
    return found == metrics_.end() ? std::string(name) : found->second.help;
}

void Statistics::print(std::ostream& out) const
{
    for (const auto& [name, metric] : metrics_) {
        out << "# HELP " << name << ' ' << metric.help << "\n# TYPE " << name
            << (name.ends_with("_total") ? " counter\n" : " gauge\n");
        for (const auto& [labels, value] : metric.values) out << name << labels << ' ' << value << '\n';
    }
    out << "# end of statistics" << std::endl;
}

} // namespace sallyport::apps
