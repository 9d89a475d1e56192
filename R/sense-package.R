#' sense: sensible adversarial training of image classifiers
#'
#' Trains image classifiers that are robust to small perturbations of their input, and measures how
#' robust they are. The method is sensible adversarial training (SENSE-AT) of Kim and Wang (2023): the
#' attack on a training image stops before the probability of the true class falls below `c`. Natural
#' training, regular adversarial training (R-AT), TRADES, MART, MMA and IAAT are included for
#' comparison. All results are plain R data, which can be saved by [saveRDS()].
#'
#' @section Installation:
#' Install the package from its source: `R CMD build . && R CMD INSTALL sense_*.tar.gz`. Training,
#' attacks and predictions of networks run in Python, by a Python package that is part of the R package.
#' It needs Python 3.10 or newer with torch. From version 1.41 on, reticulate installs these when they are
#' first needed. With older versions run [install_sense()] once, then restart R. [sense_available()] returns whether Python is ready. Reading stored results,
#' statistics, figures and the Three Clusters do not need Python.
#'
#' @section Functions:
#' Train
#' * [train_sense()] trains a network on images or on a table. [images_from_folder()] reads a folder of
#'   images. [sense_control()] sets its folder, device, threads and seed.
#' * [sense_mlp()] trains a multilayer perceptron on a table, and is the engine `"sense"` of parsnip's
#'   `mlp()`.
#' * [sense_fit] is a trained network: `print()`, `summary()`, `predict()`, `autoplot()`, `plot()`.
#'   [update()][update.sense_fit()] trains it further or again.
#' * [sweep_sense()] trains and evaluates a network for each row of a grid of options.
#' * [install_sense()] and [sense_available()] prepare Python.
#'
#' Evaluate and attack
#' * [evaluate_sense()] attacks the test images of a trained network and checks its own result.
#' * [sense_evaluation] is its result: `print()`, `summary()`, `as.data.frame()`, `autoplot()`.
#' * [compare_sense()] compares networks in pairs on the same images; [accuracies()] tabulates the
#'   accuracies of several networks.
#' * [adversarial_examples()] returns attacked images. [confusion()] counts predicted classes,
#'   [calibration()] compares probabilities with accuracies, both natural and under attack.
#' * [tidy()][tidy.sense_fit()], [glance()][glance.sense_fit()] and [augment()][augment.sense_fit()] return
#'   tables with the names of broom and yardstick.
#' * [wilson_interval()], [exact_interval()] and [paired_interval()] compute the
#'   confidence intervals that are used.
#'
#' Load
#' * [read_sense_fit()] and [read_sense_evaluation()] read the folder of a run, of R or of Python.
#' * [seal_run()] records the checksums of a folder again after you changed a file on purpose.
#'
#' Simulate the Three Clusters (section 5.1 of the paper)
#' * [three_clusters()] simulates the data. [bayes_rule()] (with [bayes_boundary()]),
#'   [linear_classifier()], [vertical_line()], [two_cluster_line()] and [best_line()] are classifiers.
#' * [linear_risk()] gives standard and robust risk in closed form, [simulate_risk()] by simulation;
#'   [boundary_distance()] gives the distance to a decision boundary.
#' * [fit_linear_at()] trains a linear classifier adversarially, in the settings of
#'   [linear_at_settings()]; [tidy.linear_at()] and [glance.linear_at()] describe it.
#'   [boundary_type()], [boundary_motion()] and [collapse_radius()] describe how training moves the
#'   boundary; [study_linear_at()], [summarise_study()] and [stored_study()] do so over seeds.
#'
#' Theory
#' * [sensible_examples()] moves points as the sensible adversary does; [sensible_loss()],
#'   [sensible_loss_from_probabilities()], [sensible_stage()], [truncated_natural_loss()] and
#'   [truncated_adversarial_loss()] are the training loss of section 4.2.
#' * [example1_risks()], [simulate_example1()], [example2_classifier()], [example2_risk()] and
#'   [simulate_example2()] are the paper's Examples 1 and 2.
#' * [paper_errata()] lists errors of the paper, with a check of each.
#'
#' Reproduce the paper
#' * [reproduce_sense()] reads or makes the result of each table and figure; [sense_reproduction] is
#'   what it returns: `summary()` and `autoplot()` show it beside the numbers of the paper.
#'
#' Report
#' * [sense_report()] writes a page about evaluated networks, [export_sense()] a network for other programs.
#' * [autoplot()] draws each result; [plot_path()] draws the path of a boundary; [figure2()],
#'   [figure3()], [figure4()], [figure5()] and [figure6()] draw figures 2 to 6 of the paper.
#'
#' @references
#' Kim, J. and Wang, X. (2023). Robust sensible adversarial learning of deep neural networks for image
#' classification. *The Annals of Applied Statistics* 17(2).
#' @seealso `vignette("mnist", package = "sense")`, `vignette("cifar10", package = "sense")`,
#'   `vignette("three-clusters", package = "sense")` and `vignette("theory", package = "sense")`. The functions have the same options as the commands
#'   `python -m sense.train` and `python -m sense.evaluate`.
#' @examples
#' # Stored networks: natural, regular adversarial and sensible adversarial training.
#' runs <- system.file("extdata", "mnist-demo", c("nt", "r-at", "sense"), package = "sense")
#' accuracies(runs)
#' compare_sense(runs[2], runs[3])
#'
#' # The Three Clusters, in plain R.
#' clusters <- three_clusters(500, p = 0.55, seed = 1)
#' fit <- fit_linear_at(clusters, "sense", c = 0.9, setting = "large-step")
#' summary(fit)
#' linear_risk(fit, eps = 1.6)
#'
#' # Train, evaluate and report a network of one's own. train_sense() alone takes some minutes.
#' if (sense_available()) {
#'   fit <- train_sense(
#'     model = "capacity-1", c = 0.7, train_size = 200, epochs = 1,
#'     control = sense_control(threads = 1)
#'   )
#'   fit
#'   evaluate_sense(fit, c("fgsm", "pgd"), n = 20, steps = 5, restarts = 1, diagnostics = FALSE)
#'   predict(fit, array(0, c(2, 28, 28)))
#' }
#' @importFrom rlang %||% caller_arg
"_PACKAGE"
