// fuzz: links sallyport_admin
#include "admin/json.hpp"
#include "admin/log_event.hpp"
#include "wire/name.hpp"

#include <cstdlib>
#include <string>
#include <vector>

/// The first octet is the size of the name, which follows; then come the texts' octet and the answer.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace sallyport;
    base::Bytes octets{data, size};
    if (octets.size() < 2) return 0;
    const std::size_t name_size = std::min<std::size_t>(octets[0], octets.size() - 1);
    const auto name = wire::Name::from_wire(octets.subspan(1, name_size));
    const auto rest = octets.subspan(1 + name_size);

    pipeline::Query query;
    if (name) query.qname = *name;
    query.upstream = query.rule = base::as_text(rest.first(std::min<std::size_t>(rest.size(), 300)));
    admin::LogObserver observer;
    observer.make_ring(1U << 17U);
    observer.set(true, true);
    observer.ended(query, rest, wire::Rcode::NOERROR, std::chrono::microseconds{1});

    std::vector<std::uint8_t> popped;
    if (!observer.ring().pop(popped)) std::abort();
    const auto event = admin::read_event(popped);
    if (!event || !base::equal(event->qname, query.qname.wire())) std::abort();
    std::string line;
    admin::append_line(line, *event, {}, {});
    // Whatever a stranger puts into names and records, a line is one line of JSON.
    if (line.find('\n') != std::string::npos || !admin::is_json(line)) std::abort();

    // And what is no event is seen to be none, or is one.
    if (const auto wild = admin::read_event(rest)) admin::append_line(line, *wild, {}, {});
    return 0;
}
