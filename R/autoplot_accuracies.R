#' @rdname accuracies
#' @export
autoplot.sense_accuracies <- function(object, ...) {
  shown <- as.data.frame(object)
  labels <- training_labels(shown)
  shown$attack <- with_numbers(shown)
  shown$network <- wrapped_factor(run_labels(shown$run, shown$method))
  plot <- if (has_seeds(shown)) {
    plot_seeds(shown, labels)
  } else if (nlevels(shown$attack) <= 4) {
    plot_dodged(shown, "network", "attack")
  } else {
    shown$network <- wrapped_factor(run_labels(shown$run, shown$method), 60)
    plot_dodged(shown, "attack", "network")
  }
  plot +
    accuracy_axis() +
    ggplot2::labs(x = "correctly classified test images", y = NULL) +
    wrapped_caption(accuracies_caption(shown, attr(object, "level") %||% 0.95)) +
    sense_theme() +
    ggplot2::theme(legend.position = "top", legend.justification = "left")
}

# The attacks in their order, with the number of images where it is not the same for all.
with_numbers <- function(shown) {
  labels <- shown$attack
  if (length(unique(shown$n)) > 1) labels <- sprintf("%s, n = %d", labels, shown$n)
  wrapped_factor(labels)
}

# Some runs differ only in their seed.
has_seeds <- function(table) {
  seeds <- unique(as.data.frame(table)[c("training", "seed")])
  anyDuplicated(seeds$training[!is.na(seeds$seed)]) > 0
}

# One row for each level of `row`, and in it one line for each level of `series`.
plot_dodged <- function(shown, row, series) {
  n <- nlevels(shown[[series]])
  rows <- nlevels(shown[[row]])
  ggplot2::ggplot(
    shown,
    ggplot2::aes(
      .data$estimate, .data[[row]], colour = .data[[series]], shape = .data[[series]],
      group = -as.integer(.data[[series]]) # the first at the top
    )
  ) +
    ggplot2::geom_hline(
      yintercept = seq_len(rows - 1) + 0.5, colour = "grey85", linewidth = 0.4
    ) +
    accuracy_layers(
      if (n > 1) ggplot2::position_dodge(width = 0.84) else "identity", 0.84 / n,
      numbers = n * rows <= 30
    ) +
    ggplot2::scale_y_discrete(limits = rev) +
    series_scales(levels(shown[[series]]))[1:2] # no lines, so no line types
}

# Several seeds: one panel per attack. In each row one line per seed under the mean over seeds. `labels`:
# the name of the training of each row.
plot_seeds <- function(shown, labels) {
  shown$label <- labels
  labels <- unique(labels)
  shown$y <- -match(shown$label, labels)
  cells <- split(shown, list(shown$label, shown$attack), drop = TRUE)
  seeds <- do.call(rbind, lapply(cells, function(cell) {
    cell <- cell[order(cell$seed), ]
    if (nrow(cell) > 1) cell$y <- cell$y + seed_offsets(nrow(cell))[-1]
    cell
  }))
  means <- do.call(rbind, lapply(cells, function(cell) {
    top <- cell$y[1] + if (nrow(cell) > 1) seed_offsets(nrow(cell))[1] else 0
    data.frame(
      attack = cell$attack[1], y = cell$y[1], top = top, mean = mean(cell$estimate)
    )
  }))
  blue <- series_colours[1]
  ggplot2::ggplot(seeds, ggplot2::aes(.data$estimate, .data$y)) +
    ggplot2::geom_hline(
      yintercept = -seq_along(labels)[-1] + 0.5, colour = "grey85", linewidth = 0.4
    ) +
    ggplot2::geom_linerange(ggplot2::aes(xmin = .data$lower, xmax = .data$upper)) +
    ggplot2::geom_point(size = 1.4) +
    ggplot2::geom_segment(
      ggplot2::aes(
        x = .data$mean, xend = .data$mean, y = .data$y - 0.45, yend = .data$y + 0.45
      ),
      data = means, colour = blue, linewidth = 0.9, alpha = 0.7
    ) +
    ggplot2::geom_text(
      ggplot2::aes(
        .data$mean, .data$top, label = percent_number(.data$mean),
        hjust = ifelse(.data$mean < 0.7, -0.2, 1.2)
      ),
      data = means, colour = blue, size = 3
    ) +
    ggplot2::scale_y_continuous(
      breaks = -seq_along(labels), labels = wrap_name(labels),
      limits = c(-length(labels), -1) + c(-0.5, 0.5), expand = c(0, 0)
    ) +
    facet_attacks("attack")
}

# The lines of a row of height 1: the mean at the top, then the seeds.
seed_offsets <- function(seeds) c(0.37, seq(0.16, -0.4, length.out = seeds))

accuracies_caption <- function(shown, level) {
  known <- function(column) paste(unique(column[!is.na(column)]), collapse = ", ")
  networks <- c(known(shown$model), known(shown$data))
  paste0(
    paste(networks[nzchar(networks)], collapse = " on "), if (any(nzchar(networks))) ". ",
    if (has_seeds(shown)) "Points: seeds of training. Blue: mean over seeds. ",
    sprintf("Bars: %g %% Wilson intervals", 100 * level),
    if (length(unique(shown$n)) == 1) sprintf(", n = %d test images", shown$n[1]), "."
  )
}

# Estimates with their intervals and numbers; `height` is that of a row.
accuracy_layers <- function(position = "identity", height = 0.6, numbers = TRUE) {
  list(
    ggplot2::geom_errorbar(
      ggplot2::aes(xmin = .data$lower, xmax = .data$upper), position = position,
      width = 0.7 * height, linewidth = 0.5, show.legend = FALSE
    ),
    ggplot2::geom_point(size = 1.3, position = position),
    if (numbers) {
      # On the side of the interval where there is room within the axis.
      ggplot2::geom_text(
        ggplot2::aes(
          x = ifelse(.data$upper < 0.75, .data$upper, .data$lower),
          label = percent_number(.data$estimate), hjust = ifelse(.data$upper < 0.75, -0.25, 1.25)
        ),
        position = position, size = 2.9, show.legend = FALSE
      )
    }
  )
}

accuracy_axis <- function(by = 0.2) {
  share_axis(ggplot2::scale_x_continuous, by, expand = ggplot2::expansion(mult = 0.02))
}

# From 0 % to 100 %, with a break every `by`. `scale` is scale_x_continuous or scale_y_continuous.
share_axis <- function(scale, by = 0.2, ...) {
  scale(limits = c(0, 1), breaks = seq(0, 1, by), labels = percent_label, ...)
}

# Labels in the order given, long ones in several lines.
wrapped_factor <- function(labels, width = 26) {
  wrapped <- wrap_name(labels, width)
  factor(wrapped, unique(wrapped))
}

percent_label <- function(p) sprintf("%g %%", round(100 * p, 6))

percent_number <- function(p) sprintf("%.1f %%", 100 * p)
