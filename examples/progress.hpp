// SPDX-License-Identifier: MIT
// A progress bar with loss, rate and time left; plain lines where the output is not a terminal.
#pragma once
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

namespace examples {

class progress {
public:
    progress(int epoch_in, int epochs_in, long images_in)
        : epoch(epoch_in), epochs(epochs_in), images(images_in) {}

    /// After `done` of the epoch's images, `before` having been done in earlier epochs.
    void show(long done, long before, double loss) {
        if (!terminal) return;
        using namespace std::chrono;
        auto now = steady_clock::now();
        if (done < images && now - last < milliseconds(50)) return;
        last = now;
        double seconds = duration<double>(now - start()).count();
        double rate = static_cast<double>(before + done) / (seconds > 0 ? seconds : 1);
        double left = static_cast<double>(images * epochs - before - done) / rate;
        constexpr int width = 30;
        int filled = static_cast<int>(done * width / images);
        std::string bar(static_cast<std::size_t>(filled), '#');
        bar.resize(width, '.');
        std::printf("\repoch %2d/%d [%s] loss %.4f  %6.0f images/s  %4.1f s left ", epoch, epochs,
                    bar.c_str(), loss, rate, left);
        std::fflush(stdout);
    }
    /// The line that stays.
    void finish(long before, double loss, double accuracy) {
        double seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start()).count();
        if (terminal) std::printf("\r\033[K");
        std::printf("epoch %2d/%d  loss %.4f  test accuracy %.2f %%  %.0f images/s\n", epoch,
                    epochs, loss, 100 * accuracy, static_cast<double>(before + images) / seconds);
        std::fflush(stdout);
    }
    /// The first call starts the clock.
    static std::chrono::steady_clock::time_point start() {
        static const auto first = std::chrono::steady_clock::now();
        return first;
    }

private:
    int epoch, epochs;
    long images;
    std::chrono::steady_clock::time_point last{};
    bool terminal = isatty(STDOUT_FILENO) != 0;
};

}  // namespace examples
