// fuzz: links sallyport_wire
#include "wire/framing.hpp"

#include <cstdlib>
#include <vector>

using namespace sallyport;

// The frames and the rest, put together again, are the stream; cut anywhere, it gives the same frames.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const base::Bytes stream{data, size};
    std::vector<std::uint8_t> again;
    std::size_t frames = 0;
    wire::FrameReader reader{stream};
    while (const auto message = reader.next()) {
        again.push_back(static_cast<std::uint8_t>(message->size() >> 8U));
        again.push_back(static_cast<std::uint8_t>(message->size() & 0xFFU));
        again.insert(again.end(), message->begin(), message->end());
        ++frames;
    }
    again.insert(again.end(), reader.rest().begin(), reader.rest().end());
    if (!base::equal(again, stream)) std::abort();

    const std::size_t cut = size / 2;
    wire::FrameReader first{stream.first(cut)};
    std::size_t frames_in_parts = 0;
    while (first.next()) ++frames_in_parts;
    std::vector<std::uint8_t> left(first.rest().begin(), first.rest().end());
    left.insert(left.end(), stream.begin() + static_cast<std::ptrdiff_t>(cut), stream.end());
    wire::FrameReader second{left};
    while (second.next()) ++frames_in_parts;
    if (frames_in_parts != frames) std::abort();
    return 0;
}
